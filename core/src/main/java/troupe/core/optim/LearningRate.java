package troupe.core.optim;

import troupe.core.config.RunConfig.Schedule;

/** The learning rate of a step: linear warm-up, then the curve of the schedule. */
public final class LearningRate {
  private LearningRate() {}

  /**
   * The learning rate of step {@code step} (one-based) of {@code steps}.
   *
   * <pre>
   *   warm-up       lr * step / warmup                                              for step <= warmup
   *   cosine        lr * (f + (1 - f) * (1 + cos(pi * t)) / 2), t = share of the steps after warm-up that are done
   *   inverse sqrt  lr * sqrt(max(warmup, 1) / step)
   *   constant      lr
   * </pre>
   */
  public static double at(Schedule schedule, long step, long steps) {
    double peak = schedule.learningRate();
    int warmup = schedule.warmupSteps();
    if (step <= warmup) {
      return peak * step / warmup;
    }
    return switch (schedule.type()) {
      case CONSTANT -> peak;
      case INVERSE_SQRT -> peak * Math.sqrt(Math.max(warmup, 1) / (double) step);
      case COSINE -> {
        double done = Math.min(1, (step - warmup) / (double) Math.max(1, steps - warmup));
        double floor = schedule.finalFraction();
        yield peak * (floor + (1 - floor) * 0.5 * (1 + StrictMath.cos(Math.PI * done)));
      }
    };
  }
}
