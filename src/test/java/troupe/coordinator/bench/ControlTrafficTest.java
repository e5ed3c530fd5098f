package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.junit.jupiter.api.Test;

class ControlTrafficTest {
  @Test
  void shouldCountMessagesByHostsAndRanksAndNotByExperts() {
    ControlTraffic.Load few = ControlTraffic.measure(new ControlTraffic.Shape(8, 3, 5, 2));
    // Step, Load of three layers and Apply to routers, Apply to experts: to each of two hosts.
    assertEquals(2 * 6, few.sent());
    // Routed of five ranks in three layers; gradients and commits of two hosts.
    assertEquals(5 * 3 + 2 + 2, few.received());
    ControlTraffic.Load many = ControlTraffic.measure(new ControlTraffic.Shape(512, 3, 5, 2));
    assertEquals(few.sent(), many.sent());
    assertEquals(few.received(), many.received());
    // A load is eight bytes an expert.
    assertTrue(many.sentBytes() - few.sentBytes() >= 2 * 3 * 8 * (512 - 8));
    assertTrue(many.largestBytes() > few.largestBytes() && many.cpuMs() > 0);
  }

  @Test
  void shouldRefuseEmptyShapes() {
    assertThrows(IllegalArgumentException.class, () -> new ControlTraffic.Shape(8, 0, 1, 1));
  }
}
