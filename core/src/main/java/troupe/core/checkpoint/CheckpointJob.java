package troupe.core.checkpoint;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * A requested checkpoint: which shards it waits for and which wait to be written. Guarded by its
 * writer's lock.
 */
final class CheckpointJob {
  private final CheckpointRequest request;
  private final long startedNs;
  private final Set<String> missing;
  private final Deque<ShardSnapshot> arrived = new ArrayDeque<>();
  private String abortReason;

  CheckpointJob(CheckpointRequest request, long startedNs) {
    this.request = request;
    this.startedNs = startedNs;
    this.missing = new HashSet<>(request.shards());
  }

  CheckpointRequest request() {
    return request;
  }

  long startedNs() {
    return startedNs;
  }

  boolean is(long epoch, long step) {
    return request.epoch() == epoch && request.step() == step;
  }

  /** Takes a snapshot over, unless the shard is not expected or already here. */
  boolean add(ShardSnapshot snapshot) {
    if (abortReason != null || !missing.remove(snapshot.shard())) {
      return false;
    }
    arrived.add(snapshot);
    return true;
  }

  /** Whether the writer has something to do: a snapshot, or the end. */
  boolean isReady() {
    return abortReason != null || !arrived.isEmpty() || missing.isEmpty();
  }

  boolean isComplete() {
    return missing.isEmpty();
  }

  Optional<ShardSnapshot> next() {
    return Optional.ofNullable(arrived.poll());
  }

  /** Gives up; the snapshots go back to the caller, who releases them. */
  List<ShardSnapshot> abort(String reason) {
    abortReason = reason;
    return drain();
  }

  Optional<String> abortReason() {
    return Optional.ofNullable(abortReason);
  }

  List<ShardSnapshot> drain() {
    List<ShardSnapshot> left = new ArrayList<>(arrived);
    arrived.clear();
    return left;
  }
}
