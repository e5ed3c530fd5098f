package troupe.coordinator;

import java.util.SortedMap;
import java.util.TreeMap;
import troupe.coordinator.events.Outcome;

/** How far checkpoints have come; each number is a step. For one thread. */
final class CheckpointProgress {
  private static final long NONE = -1;

  private final CheckpointCollector checkpoints;

  /** The epochs in which those were begun that have not ended. */
  private final SortedMap<Long, Integer> underWay = new TreeMap<>();

  private long considered;
  private long written;
  private long failed = NONE;

  /** Why the last one failed that counts. */
  private Coordinator.CheckpointEnded failure;

  /** How far the writer was when that was asked last. */
  private long seen;

  /**
   * Nothing is under way.
   *
   * @param onDisk the step of the newest one; 0 if there is none, for step 0 comes from the seed
   */
  CheckpointProgress(CheckpointCollector checkpoints, long onDisk) {
    this.checkpoints = checkpoints;
    this.considered = onDisk;
    this.written = onDisk;
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
    if (hasEnded(step) || underWay.containsKey(step)) {
      return true;
    }
    return switch (checkpoints.begin(epoch, step)) {
      case STARTED -> {
        underWay.put(step, epoch);
        collect.run();
        yield true;
      }
      case UNWANTED -> {
        written = step;
        yield true;
      }
      case BUSY -> false;
    };
  }

  /**
   * Nothing is heard of the checkpoint of {@code step}, after which nothing is done: has everything
   * copied again. Those before it that it has to wait for are given up.
   */
  void askAgain(long step, Runnable collect) {
    if (underWay.containsKey(step)) {
      collect.run();
    } else {
      abort("not all shards have come");
    }
  }

  /**
   * The last step is not waited for any longer.
   *
   * @param seconds how long nothing has moved
   * @return how the run ends by this
   */
  Outcome giveUp(long step, double seconds) {
    abort("nothing of it has come or was written any more");
    return new Outcome.Failed(
        step,
        "step %d is not on the disk: nothing of its checkpoint has come or was written for %.0f s; the newest is that of step %d"
            .formatted(step, seconds, written),
        "see whether the disk of run.dir answers; resume=true goes on from the newest checkpoint");
  }

  /** Whether a shard has come or was written since this was asked last. */
  boolean hasMoved() {
    long before = seen;
    seen = checkpoints.progress();
    return seen != before;
  }

  /** The epoch ends: what its owners have not handed over yet will not come. */
  void abandon() {
    if (!underWay.isEmpty()) {
      // Whoever goes on from that very step tries again.
      considered = Math.min(considered, underWay.firstKey() - 1);
    }
    abort("a new epoch began before all shards had come");
    failed = NONE;
  }

  private void abort(String reason) {
    underWay.forEach((step, epoch) -> checkpoints.abort(epoch, step, reason));
    underWay.clear();
  }

  /** Steps after this one are done again. */
  void rolledBack(long step) {
    considered = Math.min(considered, step);
  }

  /** Takes the end of a checkpoint; returns whether it counts, which given-up ones do not. */
  boolean onEnded(Coordinator.CheckpointEnded end) {
    boolean awaited = underWay.remove(end.step(), (int) end.epoch());
    if (end.failure() == null) {
      written = end.step();
      return true;
    }
    if (awaited) {
      failed = end.step();
      failure = end;
    }
    return awaited;
  }

  /** Whether the checkpoint of {@code step} is on the disk, or will not be. */
  boolean hasEnded(long step) {
    return step == written || step == failed;
  }

  /** How a run ends whose last checkpoint, that of {@code step}, has ended. */
  Outcome outcome(long step, Outcome wanted) {
    return step == written
        ? wanted
        : new Outcome.Failed(
            step,
            "step %d is not on the disk: %s; the newest checkpoint is that of step %d"
                .formatted(step, failure.failure(), written),
            failure.hint());
  }

  /** The step of the one written last. */
  long written() {
    return written;
  }
}
