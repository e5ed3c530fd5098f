package troupe.simulation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import troupe.coordinator.Outcome;
import troupe.coordinator.RunListener;
import troupe.coordinator.StepReport;
import troupe.coordinator.run.Model;
import troupe.coordinator.run.Shards;
import troupe.core.config.RunConfig;
import troupe.core.tensor.reference.ReferenceDevice;

/**
 * What a run comes to when nothing goes wrong: what every schedule has to come to.
 *
 * @param steps what each step was like, all digits, times left out
 * @param hash of the parameters after the last step
 */
record Undisturbed(List<String> steps, String hash) {
  /** Trains on one node that nothing happens to. */
  static Undisturbed of(SimulatedSystem system, RunConfig config) {
    List<String> steps = new ArrayList<>();
    Outcome[] outcome = new Outcome[1];
    RunListener listener =
        new RunListener() {
          @Override
          public void committed(StepReport report) {
            steps.add(text(report));
          }

          @Override
          public void finished(Outcome end) {
            outcome[0] = end;
          }
        };
    try (ReferenceDevice device = new ReferenceDevice();
        Model model = new Model(device, config)) {
      try (SimulatedCluster cluster = new SimulatedCluster(system, Conditions.ideal())) {
        ScatteredRun.start(cluster, system.loop(), model, Throws.none(config), 1, listener);
        while (outcome[0] == null && system.loop().step()) {
          // Each event may be the last.
        }
      }
      if (!(outcome[0] instanceof Outcome.Completed)) {
        throw new IllegalStateException("undisturbed run: " + outcome[0]);
      }
      return new Undisturbed(List.copyOf(steps), Shards.hash(model));
    }
  }

  /** Everything of a step that does not depend on time: the same text, the same bits. */
  static String text(StepReport report) {
    StepReport numbers =
        new StepReport(
            report.step(),
            report.loss(),
            report.crossEntropy(),
            report.balance(),
            report.z(),
            report.learningRate(),
            report.gradNorm(),
            report.tokens(),
            0,
            report.dropped(),
            report.alive(),
            new TreeMap<>());
    StringBuilder text = new StringBuilder(numbers.toString());
    report
        .load()
        .forEach((layer, rows_E) -> text.append(layer).append(Arrays.toString(rows_E)));
    return text.toString();
  }
}
