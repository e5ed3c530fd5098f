package troupe.simulation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.coordinator.run.LocalRun;
import troupe.coordinator.run.Runs;
import troupe.coordinator.run.Shards;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;

/**
 * What a run comes to when nothing goes wrong: what every schedule has to come to.
 *
 * @param steps what each step was like, all digits, times left out
 * @param validations what each validation came to
 * @param hash of the parameters after the last step
 */
record Undisturbed(List<String> steps, Set<String> validations, String hash) {
  private static final long TIMEOUT_SECONDS = 60;

  /** Trains on one node with real threads and a real clock. */
  static Undisturbed of(RunConfig config) throws Exception {
    List<String> steps = new ArrayList<>();
    Set<String> validations = new TreeSet<>();
    CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    RunListener listener =
        new RunListener() {
          @Override
          public void committed(StepReport report) {
            steps.add(text(report));
          }

          @Override
          public void evaluated(long step, double loss, long tokens) {
            validations.add(text(step, loss, tokens));
          }

          @Override
          public void finished(Outcome end) {
            outcome.complete(end);
          }
        };
    try (Device device = Devices.open(config.device());
        Model model = new Model(device, config)) {
      LocalRun.Parts parts =
          LocalRun.Parts.withoutDisk(
              model,
              1,
              Runs.randomBatches(config),
              Runs.draws(config),
              List.of(new RunTask.Train(config.train().steps())),
              listener);
      try (LocalRun _ = LocalRun.start(parts)) {
        Outcome end = outcome.get(TIMEOUT_SECONDS, TimeUnit.SECONDS);
        if (!(end instanceof Outcome.Completed)) {
          throw new IllegalStateException("undisturbed run: " + end);
        }
      }
      return new Undisturbed(List.copyOf(steps), Set.copyOf(validations), Shards.hash(model));
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
            report.penalty(),
            report.learningRate(),
            report.gradNorm(),
            report.tokens(),
            0,
            report.dropped(),
            report.alive(),
            report.ledger(),
            new TreeMap<>());
    StringBuilder text = new StringBuilder(numbers.toString());
    report.load().forEach((layer, rows_E) -> text.append(layer).append(Arrays.toString(rows_E)));
    return text.toString();
  }

  static String text(long step, double loss, long tokens) {
    return "step " + step + " loss " + loss + " tokens " + tokens;
  }
}
