package troupe.coordinator;

import troupe.coordinator.events.RunEvent;

/**
 * How far a run is: which step was committed last, how often the next one was tried, and since when
 * nothing was committed because of an interruption.
 */
final class RunProgress {
  /** So often a step is tried before a run is given up, each time in a new epoch. */
  static final int MAX_TRIES = 4;

  private static final long NONE = -1;

  private long step;
  private long committedNs;

  /** How often the step after that has failed. */
  private int tries;

  /** The last step in which a node failed. */
  private long failedStep = NONE;

  private StepReport decided;
  private Recovery recovery;

  /** The last committed step; 0 at the start. */
  long step() {
    return step;
  }

  /** A step is committed. */
  void committed(long newStep, long nowNs) {
    step = newStep;
    committedNs = nowNs;
    tries = 0;
  }

  /** What the interruption before the last committed step cost; {@code null} if told before. */
  RunEvent.Recovered recovered(long nowNs) {
    RunEvent.Recovered recovered = recovery == null ? null : recovery.ended(step, nowNs);
    recovery = null;
    return recovered;
  }

  /** The first epoch of a coordinator begins. */
  void begin(long nowNs) {
    committedNs = nowNs;
  }

  /** Another coordinator had committed steps up to this one, the last at that time. */
  void takeOver(long newestStep, long sinceNs) {
    recovery = new Recovery(newestStep, sinceNs);
  }

  /** An epoch in which work was done ends. */
  void interrupted() {
    if (recovery == null) {
      recovery = new Recovery(step, committedNs);
    }
  }

  /** A step is decided when its epoch ends: it may turn out that everybody has applied it. */
  void decided(StepReport report) {
    decided = report;
  }

  /**
   * Everybody goes on from a step: before, at or after the last committed one.
   *
   * @return the report of that step if it is committed by this
   */
  StepReport goOnFrom(long newStep, long nowNs) {
    StepReport finished = null;
    if (newStep > step) {
      tries = 0;
      committedNs = nowNs;
      finished = decided != null && decided.step() == newStep ? decided : null;
    }
    decided = null;
    step = newStep;
    return finished;
  }

  /** The next step has to be tried again; returns whether that was too often. */
  boolean failed() {
    tries++;
    return tries >= MAX_TRIES;
  }

  /** Whether the next step is given up if it fails once more. */
  boolean isLastTry() {
    return tries + 1 >= MAX_TRIES;
  }

  /** Whether a node has failed in the next step already. */
  boolean hasLostNode() {
    return failedStep == step + 1;
  }

  /** A node has failed in the next step. */
  void lostNode() {
    failedStep = step + 1;
  }
}
