package troupe.coordinator;

/** How far checkpoints have come; each number is a step. */
final class CheckpointProgress {
  private final Coordinator.Checkpoints checkpoints;
  private long considered;
  private int begunEpoch;
  private long begun;
  private long ended;
  private long written;
  private Coordinator.CheckpointEnded lastFailure;

  /** All parameters are those after {@code step}, which is on the disk or the very start. */
  CheckpointProgress(Coordinator.Checkpoints checkpoints, long step) {
    this.checkpoints = checkpoints;
    this.considered = step;
    this.begun = step;
    this.ended = step;
    this.written = step;
  }

  /**
   * Whether a run that wants one every so many steps, 0 for none, should begin one now. True once a
   * step.
   */
  boolean isDue(int every, long step) {
    boolean due = every > 0 && step % every == 0 && step > considered;
    considered = due ? step : considered;
    return due;
  }

  /**
   * Returns whether the checkpoint of {@code step} is begun by now, or not wanted.
   *
   * @param collect has all owners copy their state; called if it begins now
   */
  boolean begin(int epoch, long step, Runnable collect) {
    if (begun == step) {
      return true;
    }
    switch (checkpoints.begin(epoch, step)) {
      case STARTED -> {
        begun = step;
        begunEpoch = epoch;
        collect.run();
      }
      case UNWANTED -> {
        begun = step;
        ended = step;
        written = step;
      }
      case BUSY -> {}
    }
    return begun == step;
  }

  /** The epoch ends: what its owners have not handed over yet will not come. */
  void abandon() {
    if (begun > ended) {
      checkpoints.abort(begunEpoch, begun, "a new epoch began before all shards had come");
    }
    begun = written;
    ended = written;
  }

  /** Steps after this one are done again. */
  void rolledBack(long step) {
    considered = Math.min(considered, step);
  }

  /** The last checkpoint that counts and was not written, {@code null} if there is none. */
  Coordinator.CheckpointEnded lastFailure() {
    return lastFailure;
  }

  /** Takes the end of a checkpoint; returns whether it counts, which given-up ones do not. */
  boolean onEnded(Coordinator.CheckpointEnded end) {
    boolean failed = end.failure() != null;
    if (failed && (end.epoch() != begunEpoch || end.step() > begun)) {
      return false;
    }
    ended = Math.max(ended, end.step());
    if (failed) {
      lastFailure = end;
    } else {
      written = Math.max(written, end.step());
      begun = Math.max(begun, end.step());
    }
    return true;
  }

  boolean hasEnded(long step) {
    return ended >= step;
  }

  /** The newest step on the disk. */
  long written() {
    return written;
  }
}
