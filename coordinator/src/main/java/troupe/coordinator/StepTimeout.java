package troupe.coordinator;

import java.util.Arrays;

/** How long an answer within a step may take, learned from the steps themselves. */
final class StepTimeout {
  /** Long enough to be steady, short enough to follow when a run gets slower. */
  private static final int RECENT_STEPS = 31;

  private static final int MEDIANS = 4;
  private static final long SECOND_NS = 1_000_000_000L;

  /** Stalls of the data plane after a loss pass 100 ms, collections of garbage a second. */
  private static final long LEAST_NS = 2 * SECOND_NS;

  private final long mostNs;
  private final long[] recentNs = new long[RECENT_STEPS];
  private long steps;

  /**
   * No step is measured yet.
   *
   * @param mostNs the longest timeout, and the one before any step is measured
   */
  StepTimeout(long mostNs) {
    if (mostNs <= 0) {
      throw new IllegalArgumentException("mostNs: " + mostNs + " (expected: > 0)");
    }
    this.mostNs = mostNs;
  }

  /** A step took so long. */
  void took(long stepNs) {
    recentNs[(int) (steps++ % RECENT_STEPS)] = stepNs;
  }

  /** Four times the median of recent steps and a second. */
  long ns() {
    int count = (int) Math.min(steps, RECENT_STEPS);
    if (count == 0) {
      return mostNs;
    }
    long[] sorted = Arrays.copyOf(recentNs, count);
    Arrays.sort(sorted);
    long median = sorted[count / 2];
    long wantedNs = median > mostNs / MEDIANS ? mostNs : MEDIANS * median + SECOND_NS;
    return Math.min(mostNs, Math.max(LEAST_NS, wantedNs));
  }
}
