package troupe.coordinator.metrics;

import java.io.IOException;
import java.nio.file.Path;

/**
 * The numbers of a whole run, from one pass over its metrics. A number that was never measured is
 * NaN.
 */
final class RunSummary {
  private long numSteps;
  private long firstStep = Long.MAX_VALUE;
  private long lastStep = Long.MIN_VALUE;
  private double durationMs;
  private double lastValLoss = Double.NaN;
  private double bestValLoss = Double.NaN;
  private long bestValStep;
  private long nonFiniteLosses;
  private long firstNonFiniteStep;
  private long[][] load_LE = {};
  private long unreadable;

  private RunSummary() {}

  static RunSummary of(Path metrics) throws IOException {
    RunSummary summary = new RunSummary();
    summary.unreadable =
        MetricsFile.read(
            metrics,
            line -> {
              switch (line) {
                case StepMetrics step -> summary.add(step);
                case ValidationMetrics validation -> summary.add(validation);
                case PlacementMetrics placement -> {} // No curve.
              }
            });
    return summary;
  }

  private void add(StepMetrics step) {
    if (numSteps == 0) {
      load_LE = step.load_LE();
    }
    numSteps++;
    firstStep = Math.min(firstStep, step.step());
    lastStep = Math.max(lastStep, step.step());
    durationMs += Double.isFinite(step.stepTimeMs()) ? step.stepTimeMs() : 0;
    if (!Double.isFinite(step.loss()) && nonFiniteLosses++ == 0) {
      firstNonFiniteStep = step.step();
    }
  }

  private void add(ValidationMetrics validation) {
    lastValLoss = validation.valLoss();
    if (!(validation.valLoss() >= bestValLoss) && Double.isFinite(validation.valLoss())) {
      bestValLoss = validation.valLoss();
      bestValStep = validation.step();
    }
  }

  long numSteps() {
    return numSteps;
  }

  long firstStep() {
    return numSteps == 0 ? 0 : firstStep;
  }

  long lastStep() {
    return numSteps == 0 ? 0 : lastStep;
  }

  /** Time spent in steps, in milliseconds. */
  double durationMs() {
    return durationMs;
  }

  double lastValLoss() {
    return lastValLoss;
  }

  double bestValLoss() {
    return bestValLoss;
  }

  long bestValStep() {
    return bestValStep;
  }

  long nonFiniteLosses() {
    return nonFiniteLosses;
  }

  long firstNonFiniteStep() {
    return firstNonFiniteStep;
  }

  long unreadable() {
    return unreadable;
  }

  int numLayers() {
    return load_LE.length;
  }

  int numExperts(int layer) {
    return load_LE[layer].length;
  }
}
