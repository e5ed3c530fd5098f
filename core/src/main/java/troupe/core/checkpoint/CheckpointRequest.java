package troupe.core.checkpoint;

import java.util.Set;

/**
 * A checkpoint to be written.
 *
 * @param epoch the epoch whose owners hand over the snapshots
 * @param step the last step that is in the parameters
 * @param configHash identifies what the run computes
 * @param runId identifies the run
 * @param seed the seed of the run
 * @param shards the shards that make it complete
 */
public record CheckpointRequest(
    long epoch, long step, String configHash, String runId, long seed, Set<String> shards) {
  /**
   * Copies the set.
   *
   * @throws IllegalArgumentException if there is no shard, or a name cannot be that of a file
   */
  public CheckpointRequest {
    shards = Set.copyOf(shards);
    if (step < 0) {
      throw new IllegalArgumentException("step: " + step + " (expected: >= 0)");
    }
    if (shards.isEmpty()) {
      throw new IllegalArgumentException("shards: none (expected: at least one)");
    }
    for (String shard : shards) {
      if (!Manifest.isSafeName(shard)) {
        throw new IllegalArgumentException(
            "shard: " + shard + " (expected: letters, digits, - or _)");
      }
    }
  }
}
