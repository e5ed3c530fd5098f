package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ControlTrafficTest {
  @Test
  void shouldCountMessagesByHostsAndRanksAndNotByExperts() {
    ControlTraffic.Load few = ControlTraffic.measure(new ControlTraffic.Shape(8, 3, 5, 2));
    // Step, Load of all layers and Apply to routers, Apply to experts: to each of two hosts.
    assertEquals(2 * 4, few.sent());
    // Routed of all ranks and layers, gradients, commits: of each of two hosts.
    assertEquals(2 * 3, few.received());
    ControlTraffic.Load many = ControlTraffic.measure(new ControlTraffic.Shape(512, 3, 5, 2));
    assertEquals(few.sent(), many.sent());
    assertEquals(few.received(), many.received());
    // A load is eight bytes an expert.
    assertTrue(many.sentBytes() - few.sentBytes() >= 2 * 3 * 8 * (512 - 8));
    assertTrue(many.largestBytes() > few.largestBytes() && many.cpuMs() > 0);
  }

  @Test
  void shouldCutWhatIsTooLargeForAMessage() {
    ControlTraffic.Load load = ControlTraffic.measure(new ControlTraffic.Shape(1 << 15, 3, 2, 1));
    // Three layers, and six reports of one, two to a message.
    assertEquals(3 + 2, load.sent());
    assertEquals(3 + 2, load.received());
  }

  @Test
  void shouldRefuseEmptyShapes() {
    assertThrows(IllegalArgumentException.class, () -> new ControlTraffic.Shape(8, 0, 1, 1));
  }
}
