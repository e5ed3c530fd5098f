package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import org.junit.jupiter.api.Test;

final class StepTimeoutTest {
  private static final long MS = 1_000_000;
  private static final long SECOND = 1000 * MS;

  @Test
  void shouldFollowTheMedianOfRecentStepsWithinItsBounds() {
    StepTimeout timeout = new StepTimeout(20 * SECOND);
    assertEquals(20 * SECOND, timeout.ns());
    timeout.took(100 * MS);
    assertEquals(2 * SECOND, timeout.ns());
    timeout = new StepTimeout(20 * SECOND);
    for (long ms : new long[] {900, 1000, 60_000}) {
      timeout.took(ms * MS);
    }
    assertEquals(5 * SECOND, timeout.ns());
    for (int n = 0; n < 31; n++) {
      timeout.took(8 * SECOND);
    }
    assertEquals(20 * SECOND, timeout.ns());
    timeout = new StepTimeout(SECOND);
    timeout.took(1);
    assertEquals(SECOND, timeout.ns());
    timeout.took(Long.MAX_VALUE / 2);
    assertEquals(SECOND, timeout.ns());
  }

  @Test
  void shouldRefuseToWaitForNothing() {
    assertThrows(IllegalArgumentException.class, () -> new StepTimeout(0));
  }
}
