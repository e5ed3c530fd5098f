package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class NodesResultTest {
  private static final double EPSILON = 1e-9;

  /** Two steps of a thousand tokens. */
  private static RunTiming timing(double elapsedMs, String hash) {
    return new RunTiming(1_000, new double[] {100, 300}, elapsedMs, 5, hash);
  }

  private static NodesResult.Pair pair(double oneMs, double manyMs, double copiesMs) {
    return new NodesResult.Pair(
        Map.of(
            Spread.ONE, timing(oneMs, "a"),
            Spread.MANY, timing(manyMs, "a"),
            Spread.COPIES, timing(copiesMs, "a")));
  }

  @Test
  void shouldCountWhatPassesBetweenSteps() {
    RunTiming timing = timing(500, "a");
    assertEquals(4_000, timing.tokensPerSecond(), EPSILON);
    assertEquals(5_000, timing.tokensPerSecondInSteps(), EPSILON);
    assertEquals(200, timing.medianStepMs(), EPSILON);
    assertEquals(20, timing.betweenStepsPercent(), EPSILON);
    assertEquals(0, timing(399, "a").betweenStepsPercent());
  }

  @Test
  void shouldComparePairByPair() {
    // The machine is half as fast in the second pair: each pair has its own ratio.
    NodesResult result =
        new NodesResult(List.of(pair(400, 500, 1000), pair(800, 1600, 1600), pair(400, 400, 500)));
    assertEquals(80, result.median(NodesResult.Pair::manyPercent), EPSILON);
    assertEquals(80, result.median(NodesResult.Pair::copiesPercent), EPSILON);
    assertEquals(4_000, result.median(Spread.MANY, RunTiming::tokensPerSecond), EPSILON);
    assertEquals(5, result.median(Spread.MANY, RunTiming::transportPercent), EPSILON);
  }

  @Test
  void shouldNameTheRunsThatEndedWithOtherBits() {
    NodesResult same = new NodesResult(List.of(pair(400, 400, 400), pair(400, 400, 400)));
    assertEquals("a", same.hash());
    assertEquals(List.of(), same.differences());
    NodesResult.Pair other =
        new NodesResult.Pair(
            Map.of(
                Spread.ONE, timing(400, "a"),
                Spread.MANY, timing(400, "b"),
                Spread.COPIES, timing(400, "a")));
    assertEquals(
        List.of("hash: b of pair 2, many (expected: a, as one of pair 1)"),
        new NodesResult(List.of(pair(400, 400, 400), other)).differences());
  }
}
