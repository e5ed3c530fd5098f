package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalDouble;
import org.junit.jupiter.api.Test;

final class LapClockTest {
  private long nowNs;
  private final LapClock clock = new LapClock(20, 60, () -> nowNs);

  @Test
  void shouldTakeTheTimeBetweenTwoSteps() {
    assertFalse(clock.heard("run        runs/quickstart"));
    assertTrue(clock.heard("step     1/60  loss 5.842  ce 5.804"));
    nowNs = 5_000_000;
    clock.heard("step    20/60  loss 4.617  ce 4.578");
    assertEquals(OptionalDouble.empty(), clock.elapsedMs());
    nowNs = 7_000_000;
    clock.heard("step    40/60  loss 4.617  ce 4.578");
    assertEquals(OptionalDouble.empty(), clock.elapsedMs());
    nowNs = 12_500_000;
    clock.heard("step    60/60  loss 3.054  ce 3.014");
    assertEquals(OptionalDouble.of(7.5), clock.elapsedMs());
  }

  @Test
  void shouldCountStepsThatAreDoneAgain() {
    clock.heard("step    20/60  loss 4.617  ce 4.578");
    nowNs = 4_000_000;
    clock.heard("step    20/60  loss 4.617  ce 4.578");
    nowNs = 9_000_000;
    clock.heard("step    60/60  loss 3.054  ce 3.014");
    assertEquals(OptionalDouble.of(9), clock.elapsedMs());
  }
}
