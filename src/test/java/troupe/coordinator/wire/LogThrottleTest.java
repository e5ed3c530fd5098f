package troupe.coordinator.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;

class LogThrottleTest {
  @Test
  void shouldTellHowManyItHeldBack() {
    LogThrottle throttle = new LogThrottle(2, 100, 1_000);
    assertEquals(0, throttle.ask(1_000));
    assertEquals(0, throttle.ask(1_001));
    assertEquals(-1, throttle.ask(1_002));
    assertEquals(-1, throttle.ask(1_099));
    assertEquals(2, throttle.ask(1_100));
    assertEquals(-1, throttle.ask(1_199));
    assertEquals(1, throttle.ask(9_000));
    assertEquals(0, throttle.ask(9_001));
    assertEquals(-1, throttle.ask(9_002));
  }
}
