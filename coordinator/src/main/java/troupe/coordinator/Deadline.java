package troupe.coordinator;

import java.util.Arrays;

/**
 * How long to wait for answers, learned from the steps themselves, and what to do when they do not
 * come. The caller gives the time, in nanoseconds of any one clock, and tells of progress.
 *
 * <pre>
 *   no progress for 1 and 2 timeouts     -> ASK_AGAIN   (name whoever is late)
 *   no progress for 3 timeouts           -> NEW_EPOCH   (then the wait begins anew)
 *   3 epochs in which no step was done   -> STOP
 * </pre>
 *
 * For one thread.
 */
public final class Deadline {
  /** What is to be done now. */
  public enum Action {
    /** Nothing yet. */
    WAIT,
    /** Someone is late: name them and ask again. */
    ASK_AGAIN,
    /** Asking did not help: begin a new epoch. */
    NEW_EPOCH,
    /** New epochs did not help either. */
    STOP
  }

  /** Long enough to be steady, short enough to follow when a run gets slower. */
  private static final int RECENT_STEPS = 31;

  private static final int MEDIANS = 4;
  private static final long SECOND_NS = 1_000_000_000L;

  /** Stalls of the data plane after a loss pass 100 ms, collections of garbage a second. */
  private static final long LEAST_NS = 2 * SECOND_NS;

  private static final int MAX_ASKED = 2;
  private static final int MAX_EPOCHS = 3;

  private final long mostNs;
  private final long[] recentNs = new long[RECENT_STEPS];
  private long steps;
  private long sinceNs;
  private int asked;
  private int epochs;

  /**
   * Begins to wait.
   *
   * @param mostNs the longest timeout, and the one before any step is measured
   */
  public Deadline(long mostNs, long nowNs) {
    if (mostNs <= 0) {
      throw new IllegalArgumentException("mostNs: " + mostNs + " (expected: > 0)");
    }
    this.mostNs = mostNs;
    sinceNs = nowNs;
  }

  /** How long an answer may take: four times the median of recent steps and a second. */
  public long timeoutNs() {
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

  /** A step was committed: all is well, and its time tells how long others may take. */
  public void onStep(long stepNs, long nowNs) {
    recentNs[(int) (steps++ % RECENT_STEPS)] = stepNs;
    epochs = 0;
    onProgress(nowNs);
  }

  /** Something awaited has come; the wait begins anew. */
  public void onProgress(long nowNs) {
    sinceNs = nowNs;
    asked = 0;
  }

  /** When {@link #due} next says something else than to wait, unless there is progress. */
  public long nextNs() {
    return sinceNs + (asked + 1) * timeoutNs();
  }

  /** What is to be done now; each action is said once, in order, also if the caller was away. */
  public Action due(long nowNs) {
    if (nowNs - nextNs() < 0) {
      return Action.WAIT;
    }
    if (asked < MAX_ASKED) {
      asked++;
      // Whoever was asked gets a whole timeout, even if this clock was stopped for minutes.
      sinceNs = nowNs - asked * timeoutNs();
      return Action.ASK_AGAIN;
    }
    onProgress(nowNs);
    return epochs++ < MAX_EPOCHS ? Action.NEW_EPOCH : Action.STOP;
  }
}
