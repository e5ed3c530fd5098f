package troupe.coordinator.lab;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.coordinator.lab.Comparison.Row;
import troupe.core.config.RunConfig;

class ComparisonTest {
  private static final int STEPS = 60;

  @TempDir private Path folder;

  /** Falls by one a step from {@code start}, and stays at {@code end}. */
  private static double[] falling(double start, double end) {
    double[] curve = new double[STEPS];
    Arrays.setAll(curve, i -> Math.max(end, start - i));
    return curve;
  }

  private Comparison compare(RunConfig config, double[]... curves) {
    List<Trial> trials = Examples.trials(config, folder);
    try (ResultsFile results = ResultsFile.open(folder)) {
      for (int i = 0; i < curves.length; i++) {
        double last = curves[i][STEPS - 1];
        results.add(Examples.result(trials.get(i), last + 0.5, curves[i]));
      }
      return Comparison.of(trials, results);
    }
  }

  @Test
  void shouldCountStepsToTheBaseline() {
    Comparison comparison =
        compare(Examples.ablation(), falling(40, 0), falling(30, 0), falling(30, 1));
    Row baseline = comparison.rows().get(0);
    assertTrue(baseline.isBaseline());
    // Flat from step 41 on, so the last twenty are flat after step 60.
    assertArrayEquals(new double[] {60}, baseline.stepsToBaseline());
    assertArrayEquals(new double[] {50}, comparison.rows().get(1).stepsToBaseline());
    assertArrayEquals(new double[] {}, comparison.rows().get(2).stepsToBaseline());
  }

  @Test
  void shouldCompareSeedBySeed() {
    RunConfig config =
        Examples.ablation(
            "lab.seeds=2",
            "lab.arms=[\"switch: gate.type=switch\", \"sparsemixer: gate.type=sparsemixer\"]");
    Comparison comparison =
        compare(config, falling(9, 1), falling(9, 0.5), falling(9, 3), falling(9, 2));
    Row row = comparison.rows().get(1);
    assertArrayEquals(
        new double[] {-0.5, -1}, row.differences(TrialResult::finalValidation), 1e-12);
    assertArrayEquals(new double[] {1, 2.5}, row.values(TrialResult::finalValidation), 1e-12);
    assertEquals(0, comparison.rows().get(0).differences(TrialResult::finalLoss).length);
  }

  @Test
  void shouldCompareWithAsManyExperts() {
    RunConfig config =
        Examples.ablation(
            "lab.arms=[\"sparsemixer N=4: gate.type=sparsemixer experts.count=4\","
                + " \"switch: gate.type=switch\", \"switch N=4: gate.type=switch experts.count=4\","
                + " \"sparsemixer N=2: gate.type=sparsemixer experts.count=2\"]");
    Comparison comparison =
        compare(config, falling(9, 1), falling(9, 2), falling(9, 3), falling(9, 4));
    List<Row> rows = comparison.rows();
    assertEquals("switch N=4", rows.get(0).baseline().arm().name());
    assertTrue(rows.get(1).isBaseline());
    assertTrue(rows.get(3).isBaseline());
    assertEquals(List.of(2, 4, 8), comparison.experts());
  }

  @Test
  void shouldFindSweeps() {
    RunConfig config =
        Examples.ablation(
            "lab.arms=[\"switch: gate.type=switch\", \"switch N=4: gate.type=switch experts.count=4\","
                + " \"sparsemixer: gate.type=sparsemixer\","
                + " \"narrow: gate.type=sparsemixer gate.jitter=0.01\"]");
    Comparison comparison =
        compare(config, falling(9, 1), falling(9, 2), falling(9, 3), falling(9, 4));
    List<List<Row>> byExperts = comparison.sweeps("experts.count", Row::experts);
    assertEquals(1, byExperts.size());
    assertEquals(
        List.of("switch N=4", "switch"),
        byExperts.getFirst().stream().map(row -> row.arm().name()).toList());
    List<List<Row>> byJitter = comparison.sweeps("gate.jitter", Row::jitter);
    assertEquals(
        List.of("narrow", "sparsemixer"),
        byJitter.getFirst().stream().map(row -> row.arm().name()).toList());
  }

  @Test
  void shouldLeaveOutArmsWithoutResults() {
    Comparison comparison = compare(Examples.ablation(), falling(9, 1));
    assertEquals(1, comparison.rows().size());
  }
}
