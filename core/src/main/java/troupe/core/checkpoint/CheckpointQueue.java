package troupe.core.checkpoint;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * What owners hand over and the writing thread takes: at most two checkpoints, the first being
 * written. A snapshot that comes back from a method here is the caller's to release.
 */
final class CheckpointQueue {
  private static final int MAX_JOBS = 2;

  private final Deque<CheckpointJob> jobs = new ArrayDeque<>();
  private boolean closed;

  synchronized boolean begin(CheckpointRequest request) {
    boolean known = find(request.epoch(), request.step()).isPresent();
    if (closed || known || jobs.size() == MAX_JOBS) {
      return false;
    }
    jobs.add(new CheckpointJob(request, System.nanoTime()));
    notifyAll();
    return true;
  }

  synchronized boolean offer(long epoch, long step, ShardSnapshot snapshot) {
    boolean taken = find(epoch, step).map(job -> job.add(snapshot)).orElse(false);
    notifyAll();
    return taken;
  }

  synchronized List<ShardSnapshot> abort(long epoch, long step, String reason) {
    List<ShardSnapshot> left = find(epoch, step).map(job -> job.abort(reason)).orElse(List.of());
    notifyAll();
    return left;
  }

  /** Takes no more checkpoints and gives up those that wait for shards. */
  synchronized List<ShardSnapshot> close(String reason) {
    closed = true;
    List<ShardSnapshot> left = new ArrayList<>();
    for (CheckpointJob job : jobs) {
      if (!job.isComplete()) {
        left.addAll(job.abort(reason));
      }
    }
    notifyAll();
    return left;
  }

  /** Waits for a checkpoint to work on; empty once the queue is closed and done. */
  synchronized Optional<CheckpointJob> awaitJob() {
    while (jobs.isEmpty() && !closed) {
      await();
    }
    return Optional.ofNullable(jobs.peek());
  }

  /** Waits for the next snapshot to write; empty when all were, or the checkpoint was given up. */
  synchronized Optional<ShardSnapshot> awaitShard(CheckpointJob job) {
    while (!job.isReady()) {
      await();
    }
    return job.next();
  }

  synchronized Optional<String> abortReason(CheckpointJob job) {
    return job.abortReason();
  }

  /** Takes the first checkpoint off, with whatever has not been written of it. */
  synchronized List<ShardSnapshot> removeFirst() {
    return jobs.remove().drain();
  }

  private Optional<CheckpointJob> find(long epoch, long step) {
    return jobs.stream().filter(job -> job.is(epoch, step)).findFirst();
  }

  private void await() {
    try {
      wait();
    } catch (InterruptedException e) {
      // Only the writing thread waits here, and nobody has it to interrupt it; closing ends it.
      throw new IllegalStateException("the checkpoint writer was interrupted", e);
    }
  }
}
