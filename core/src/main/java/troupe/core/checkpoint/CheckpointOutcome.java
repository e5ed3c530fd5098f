package troupe.core.checkpoint;

import java.nio.file.Path;
import java.time.Duration;

/** What became of a checkpoint. */
public sealed interface CheckpointOutcome {
  /** The epoch of the request. */
  long epoch();

  /** The step of the request. */
  long step();

  /**
   * It is on the disk, whole and under its name.
   *
   * @param directory where it is
   * @param bytes the length of all shards together
   * @param elapsed from the request to the end, waiting for shards included
   * @param writing the part of it spent on writing, hashing and syncing
   */
  record CheckpointWritten(
      long epoch, long step, Path directory, long bytes, Duration elapsed, Duration writing)
      implements CheckpointOutcome {}

  /**
   * It is not there and nothing of it is left; earlier checkpoints are untouched.
   *
   * @param reason what went wrong, in one line
   * @param hint what to do about it
   */
  record CheckpointFailed(long epoch, long step, String reason, String hint)
      implements CheckpointOutcome {}
}
