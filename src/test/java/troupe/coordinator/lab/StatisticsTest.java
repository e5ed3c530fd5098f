package troupe.coordinator.lab;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.OptionalLong;
import org.junit.jupiter.api.Test;

class StatisticsTest {
  private static final long[] STEPS = {1, 2, 3, 4, 5, 6};
  private static final double[] FALLING = {6, 5, 4, 3, 2, 1};

  @Test
  void shouldSayWhatAFewNumbersAre() {
    double[] values = {1, 2, 6};
    assertEquals(3, Statistics.mean(values));
    assertEquals(Math.sqrt(7), Statistics.spread(values), 1e-15);
    assertEquals(2, Statistics.median(values));
    assertEquals(1.5, Statistics.quantile(values, 0.25));
    assertEquals(4, Statistics.meanOfLast(values, 2));
    assertEquals(3, Statistics.meanOfLast(values, 9));
  }

  @Test
  void shouldSayNothingOfNothing() {
    assertTrue(Double.isNaN(Statistics.mean(new double[0])));
    assertTrue(Double.isNaN(Statistics.median(new double[0])));
    assertTrue(Double.isNaN(Statistics.spread(new double[] {1})));
  }

  @Test
  void shouldFindTheStepWhoseWindowIsLowEnough() {
    // Means of two: 5.5, 4.5, 3.5, 2.5, 1.5 after steps 2 to 6.
    assertEquals(OptionalLong.of(4), Statistics.stepsTo(3.5, STEPS, FALLING, 2));
    assertEquals(OptionalLong.of(5), Statistics.stepsTo(3.4, STEPS, FALLING, 2));
    assertEquals(OptionalLong.empty(), Statistics.stepsTo(1.4, STEPS, FALLING, 2));
  }

  @Test
  void shouldNotCountAWindowThatIsNotFull() {
    assertEquals(OptionalLong.of(3), Statistics.stepsTo(9, STEPS, FALLING, 3));
  }

  @Test
  void shouldReachTheOwnEndAtTheEnd() {
    double[] losses = {0.9, 0.7, 0.1 + 0.2, 0.3};
    double goal = Statistics.meanOfLast(losses, 2);
    assertEquals(OptionalLong.of(4), Statistics.stepsTo(goal, new long[] {1, 2, 3, 4}, losses, 2));
  }

  @Test
  void shouldAverageStretches() {
    assertArrayEquals(new double[] {5.5, 3.5, 1.5}, Statistics.bucketMeans(FALLING, 2));
    assertArrayEquals(new double[] {4.5, 1.5}, Statistics.bucketMeans(FALLING, 4));
  }
}
