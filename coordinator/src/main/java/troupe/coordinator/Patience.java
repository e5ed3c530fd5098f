package troupe.coordinator;

import java.time.Duration;

/**
 * How long to wait without hearing anything. While a step is at hand that follows from how long
 * steps take; everything else may take as long as the config says.
 */
final class Patience {
  /** Deadlines in a row that pass without any event before a new epoch is tried. */
  private static final int MAX_DEADLINES = 3;

  private final StepTimeout ofSteps;
  private final long longestNs;
  private long movedNs;
  private int deadlines;

  Patience(double replyTimeoutSeconds, long nowNs) {
    this.longestNs = (long) (replyTimeoutSeconds * 1e9);
    this.ofSteps = new StepTimeout(longestNs);
    this.movedNs = nowNs;
  }

  /** Something has moved. */
  void moved(long nowNs) {
    movedNs = nowNs;
    deadlines = 0;
  }

  /** A step took so long. */
  void took(long stepNs) {
    ofSteps.took(stepNs);
  }

  /** How long to wait within a step before asking again. */
  Duration timeout() {
    return Duration.ofNanos(ofSteps.ns());
  }

  /**
   * Whether one more deadline has passed without anything having moved.
   *
   * @param inStep whether a step is at hand
   */
  boolean isOver(long nowNs, boolean inStep) {
    long limitNs = inStep ? timeout().toNanos() : longestNs;
    boolean isOver = nowNs - movedNs >= limitNs * (deadlines + 1);
    deadlines += isOver ? 1 : 0;
    return isOver;
  }

  /** Whether so many deadlines have passed that asking again does not help. */
  boolean isExhausted() {
    return deadlines >= MAX_DEADLINES;
  }

  /** Time since anything moved, to the millisecond. */
  double waitedSeconds(long nowNs) {
    return Duration.ofNanos(nowNs - movedNs).toMillis() / 1e3;
  }

  /** When something moved last. */
  long lastMoved() {
    return movedNs;
  }
}
