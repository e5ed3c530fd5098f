package troupe.coordinator.host;

import java.util.Collections;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import troupe.coordinator.placement.Placement;

/**
 * What of the state a node has in memory or can read from its disk.
 *
 * @param held for each shard the steps it is held at, live or copied
 * @param diskStep the step of the newest whole checkpoint it can read, or -1: all shards at that
 *     step
 * @param placement who lived where in the last epoch that this node took part in, or {@code null}
 */
public record Inventory(
    SortedMap<ShardId, SortedSet<Long>> held, long diskStep, Placement placement) {
  /** Copies the map. */
  public Inventory {
    held = Collections.unmodifiableSortedMap(new TreeMap<>(held));
  }

  /** Whether the node has a shard as it was after {@code step}. */
  public boolean has(ShardId shard, long step) {
    return diskStep == step || held.containsKey(shard) && held.get(shard).contains(step);
  }
}
