package troupe.coordinator.chaos;

import java.util.OptionalDouble;
import troupe.coordinator.chaos.Disturbance.Kind;
import troupe.coordinator.chaos.Observation.Committed;
import troupe.coordinator.chaos.Observation.Happened;

/**
 * One fault from its moment to the step that makes up for it, fed with all that is seen meanwhile.
 *
 * <p>A fault that takes or brings nodes, or moves experts, is over with the first step committed
 * after a new epoch began: a step that was under way when it struck does not count. Time runs from
 * the fault; for a change in good order, during which training goes on, from the last step before
 * the epoch.
 */
final class Recovery {
  private static final String EPOCH_BEGAN = "epoch_began";
  private static final double MS_PER_SECOND = 1e3;

  private final Kind kind;
  private final String who;
  private final long faultMs;
  private long startMs;
  private long highestStep;
  private boolean epochBegan;
  private long recoveredMs = -1;
  private long regainedMs = -1;
  private long replayed;

  /**
   * @param who was hit
   * @param nowMs when
   * @param highestStep the last step ever committed before
   */
  Recovery(Kind kind, String who, long nowMs, long highestStep) {
    this.kind = kind;
    this.who = who;
    this.faultMs = nowMs;
    this.startMs = nowMs;
    this.highestStep = highestStep;
    this.epochBegan = kind == Kind.EXPERT_THROWS;
  }

  void observe(Observation seen) {
    switch (seen) {
      case Happened event -> epochBegan |= event.name().equals(EPOCH_BEGAN);
      case Committed committed -> onCommitted(committed);
    }
  }

  private void onCommitted(Committed committed) {
    if (!epochBegan) {
      startMs = kind.isOrderly() ? committed.atMs() : startMs;
      highestStep = Math.max(highestStep, committed.step());
      return;
    }
    if (recoveredMs < 0) {
      recoveredMs = committed.atMs();
    }
    if (regainedMs < 0 && committed.step() <= highestStep) {
      replayed++;
    } else if (regainedMs < 0) {
      regainedMs = committed.atMs();
    }
  }

  /** Whether a step was committed since. */
  boolean isRecovered() {
    return recoveredMs >= 0;
  }

  /** Whether a step was committed that had not been before. */
  boolean isRegained() {
    return regainedMs >= 0;
  }

  /**
   * The fault as the verdict has it.
   *
   * @param beginMs the time that counts as 0
   */
  FaultResult result(long beginMs) {
    return new FaultResult(
        kind,
        who,
        (faultMs - beginMs) / MS_PER_SECOND,
        seconds(recoveredMs),
        seconds(regainedMs),
        replayed);
  }

  /** When time began to be lost, which for a change in good order is later than its beginning. */
  long startMs() {
    return startMs;
  }

  /** When no more time was lost; empty while it is. */
  long endMs(long nowMs) {
    return regainedMs < 0 ? nowMs : regainedMs;
  }

  private OptionalDouble seconds(long untilMs) {
    return untilMs < 0
        ? OptionalDouble.empty()
        : OptionalDouble.of((untilMs - startMs) / MS_PER_SECOND);
  }
}
