package troupe.coordinator.lab;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import troupe.coordinator.metrics.MetricsFile;
import troupe.coordinator.metrics.MetricsLog;
import troupe.coordinator.metrics.PlacementMetrics;
import troupe.coordinator.metrics.StepMetrics;
import troupe.coordinator.metrics.ValidationMetrics;
import troupe.router.gate.Load;

/** Makes the result of a training from its metrics. */
final class TrialReader {
  /** Values of a curve: of a short run each step, and few enough to keep thousands of runs. */
  private static final int MAX_POINTS = 1000;

  private final List<StepMetrics> steps = new ArrayList<>();
  private final List<ValidationMetrics> validations = new ArrayList<>();

  private TrialReader() {}

  /** Reads the metrics in the folder of a finished training. */
  static TrialResult read(Trial trial, double seconds, String where) throws IOException {
    Path file = trial.folder().resolve(MetricsLog.FILE_NAME);
    TrialReader reader = new TrialReader();
    MetricsFile.read(
        file,
        line -> {
          switch (line) {
            case StepMetrics step -> reader.steps.add(step);
            case ValidationMetrics validation -> reader.validations.add(validation);
            case PlacementMetrics placement -> {} // No curve.
          }
        });
    if (reader.steps.size() < trial.config().train().steps()) {
      throw new IOException(
          "%s: %d steps (expected: %d)"
              .formatted(file, reader.steps.size(), trial.config().train().steps()));
    }
    return reader.result(trial, seconds, where);
  }

  private TrialResult result(Trial trial, double seconds, String where) {
    double[] losses = steps.stream().mapToDouble(StepMetrics::ce).toArray();
    int width = Math.ceilDiv(losses.length, MAX_POINTS);
    List<StepMetrics> last =
        steps.subList(Math.max(0, steps.size() - TrialResult.FINAL_STEPS), steps.size());
    return new TrialResult(
        trial.hash(),
        trial.arm().name(),
        trial.seed(),
        losses.length,
        width,
        Statistics.bucketMeans(losses, width),
        validations.stream().mapToDouble(ValidationMetrics::step).toArray(),
        validations.stream().mapToDouble(ValidationMetrics::valLoss).toArray(),
        Statistics.meanOfLast(losses, TrialResult.FINAL_STEPS),
        last.stream().mapToDouble(StepMetrics::alive).average().orElse(Double.NaN),
        entropy(last),
        last.stream().mapToDouble(StepMetrics::dropped).average().orElse(Double.NaN),
        Statistics.median(
            steps.stream().skip(steps.size() / 10).mapToDouble(StepMetrics::stepTimeMs).toArray()),
        seconds,
        where);
  }

  /** One if all experts of all layers are equally busy, zero if each layer uses one. */
  private static double entropy(List<StepMetrics> last) {
    int layers = last.isEmpty() ? 0 : last.getFirst().load_LE().length;
    double sum = 0;
    for (int layer = 0; layer < layers; layer++) {
      long[] total_E = new long[last.getFirst().load_LE()[layer].length];
      for (StepMetrics step : last) {
        for (int e = 0; e < total_E.length; e++) {
          total_E[e] += step.load_LE()[layer][e];
        }
      }
      sum += total_E.length < 2 ? 1 : Load.entropy(total_E) / Math.log(total_E.length);
    }
    return layers == 0 ? Double.NaN : sum / layers;
  }
}
