package troupe.core.optim;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.core.config.RunConfig.Schedule;
import troupe.core.config.RunConfig.ScheduleType;

final class LearningRateTest {
  private static final double TOLERANCE = 1e-15;

  private static double at(ScheduleType type, int warmup, double floor, long step, long steps) {
    return LearningRate.at(new Schedule(type, 0.8, warmup, floor), step, steps);
  }

  @ParameterizedTest
  @EnumSource
  void shouldRiseInALineToItsHighest(ScheduleType type) {
    assertEquals(0.2, at(type, 4, 0.1, 1, 100), TOLERANCE);
    assertEquals(0.6, at(type, 4, 0.1, 3, 100), TOLERANCE);
    assertEquals(0.8, at(type, 4, 0.1, 4, 100), TOLERANCE);
  }

  @ParameterizedTest
  @CsvSource({
    // Half way between highest and lowest, then lowest.
    "COSINE, 54, 0.44",
    "COSINE, 104, 0.08",
    "COSINE, 200, 0.08",
    "INVERSE_SQRT, 16, 0.4",
    "INVERSE_SQRT, 64, 0.2",
    "CONSTANT, 5, 0.8",
    "CONSTANT, 104, 0.8"
  })
  void shouldFollowItsCurve(ScheduleType type, long step, double expected) {
    assertEquals(expected, at(type, 4, 0.1, step, 104), TOLERANCE);
  }

  @Test
  void shouldDoWithoutWarmUp() {
    assertEquals(0.8, at(ScheduleType.INVERSE_SQRT, 0, 0, 1, 10), TOLERANCE);
    assertEquals(0.4, at(ScheduleType.INVERSE_SQRT, 0, 0, 4, 10), TOLERANCE);
    assertEquals(0.8, at(ScheduleType.CONSTANT, 0, 0, 1, 10), TOLERANCE);
    assertEquals(0.4, at(ScheduleType.COSINE, 0, 0, 5, 10), TOLERANCE);
    assertEquals(0, at(ScheduleType.COSINE, 0, 0, 10, 10), TOLERANCE);
  }

  @Test
  void shouldStayFiniteWhenWarmUpIsLongerThanTheRun() {
    assertEquals(0.08, at(ScheduleType.COSINE, 100, 0.1, 10, 10), TOLERANCE);
    assertEquals(0.08, at(ScheduleType.COSINE, 10, 0.1, 11, 10), TOLERANCE);
  }
}
