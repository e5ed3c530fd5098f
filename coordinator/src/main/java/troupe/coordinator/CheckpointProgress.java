package troupe.coordinator;

/** How far checkpoints have come; each number is a step. */
final class CheckpointProgress {
  private final Coordinator.Checkpoints checkpoints;
  private long considered;
  private long begun;
  private long ended;
  private long written;

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

  /** Returns whether the checkpoint of {@code step} is begun by now, or not wanted. */
  boolean begin(int epoch, long step, Coordinator.Owners owners) {
    if (begun == step) {
      return true;
    }
    switch (checkpoints.begin(epoch, step, owners)) {
      case STARTED -> begun = step;
      case UNWANTED -> {
        begun = step;
        ended = step;
        written = step;
      }
      case BUSY -> {}
    }
    return begun == step;
  }

  void onEnded(Coordinator.CheckpointEnded end) {
    ended = Math.max(ended, end.step());
    if (end.failure() == null) {
      written = Math.max(written, end.step());
    }
  }

  boolean hasEnded(long step) {
    return ended >= step;
  }

  /** The newest step on the disk. */
  long written() {
    return written;
  }
}
