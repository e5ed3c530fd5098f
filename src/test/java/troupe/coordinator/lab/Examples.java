package troupe.coordinator.lab;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/** Small experiments, and results that nobody trained for. */
final class Examples {
  private Examples() {}

  /**
   * An ablation of Switch and SparseMixer with one seed each, and of SparseMixer with another
   * jitter.
   */
  static RunConfig ablation(String... overrides) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "lab.kind=ablation",
                "lab.seeds=1",
                "train.steps=6",
                "lab.arms=[\"switch: gate.type=switch\", \"sparsemixer: gate.type=sparsemixer\","
                    + " \"wide: gate.type=sparsemixer gate.jitter=0.3\"]"));
    all.addAll(List.of(overrides));
    return ConfigLoader.parse("", all);
  }

  static List<Trial> trials(RunConfig config, Path folder) {
    return Trial.all(config, folder);
  }

  /**
   * A result whose training loss is {@code curve} and whose validation loss ends at {@code last}.
   */
  static TrialResult result(Trial trial, double last, double... curve) {
    return new TrialResult(
        trial.hash(),
        trial.arm().name(),
        trial.seed(),
        curve.length,
        1,
        curve,
        new double[] {1, curve.length},
        new double[] {last + 1, last},
        Statistics.meanOfLast(curve, TrialResult.FINAL_STEPS),
        0.5,
        0.9,
        0,
        80,
        12,
        "cpu, 2 of 2 cores, 1 at once");
  }
}
