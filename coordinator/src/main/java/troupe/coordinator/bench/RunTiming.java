package troupe.coordinator.bench;

import java.util.Arrays;

/**
 * What was measured of the steps of a run after its warm-up.
 *
 * @param tokensPerStep of all ranks
 * @param stepMs milliseconds of each step from its begin to its commit, without what lies between
 *     two steps, such as the wait for copies
 * @param elapsedMs from the commit of the last step of the warm-up to the commit of the last step
 * @param transportPercent of the time of one thread that the transport took, mean over nodes; 0 in
 *     one process
 * @param hash of the parameters after the last step
 */
public record RunTiming(
    long tokensPerStep, double[] stepMs, double elapsedMs, double transportPercent, String hash) {
  /** Tokens a second by the clock. */
  public double tokensPerSecond() {
    return tokensPerStep * stepMs.length / elapsedMs * 1e3;
  }

  /** Tokens a second as if no time passed between two steps. */
  public double tokensPerSecondInSteps() {
    return tokensPerStep * stepMs.length / inStepsMs() * 1e3;
  }

  /** Milliseconds of the median step. */
  public double medianStepMs() {
    return Median.of(stepMs);
  }

  /** Share of the time that passed between two steps; in per cent. */
  public double betweenStepsPercent() {
    // The two clocks are those of two processes: without a pause the difference may be below 0.
    return Math.max(0, 100 * (1 - inStepsMs() / elapsedMs));
  }

  private double inStepsMs() {
    return Arrays.stream(stepMs).sum();
  }
}
