package troupe.coordinator.host;

import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Placement;

/**
 * All that a node has to know of an epoch.
 *
 * @param epoch its number, higher than any before
 * @param step the committed step that everyone goes on from
 * @param nodes all nodes that take part, by number
 * @param placement who lives where
 * @param sources for each shard that has to travel, the node that has it at {@code step}; shards
 *     that nobody has at step 0 start from the seed
 */
public record EpochPlan(
    int epoch,
    long step,
    List<NodeInfo> nodes,
    Placement placement,
    SortedMap<ShardId, Integer> sources) {
  /** Copies lists and maps. */
  public EpochPlan {
    nodes = List.copyOf(nodes);
    sources = Collections.unmodifiableSortedMap(new TreeMap<>(sources));
  }
}
