package troupe.coordinator.host;

import java.util.Collections;
import java.util.List;
import java.util.OptionalInt;
import java.util.SortedMap;
import java.util.TreeMap;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Placement;
import troupe.transport.Phase;

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

  /** The node whose owner a shard is of; for the trunk, which every rank has, that of rank 0. */
  public int owner(ShardId shard) {
    return switch (shard.kind()) {
      case TRUNK -> placement.nodeOfRank(0);
      case MOMENTS -> placement.nodeOfRank(shard.index());
      case EXPERT -> placement.nodeOfExpert(shard.layer(), shard.index());
    };
  }

  /**
   * The node that a shard comes from: who has to hear that it has arrived. Empty if nobody was to
   * send it.
   *
   * @param phase what it travels for: replica, restore or checkpoint
   */
  public OptionalInt sender(Phase phase, ShardId shard) {
    if (phase != Phase.RESTORE) {
      return OptionalInt.of(owner(shard));
    }
    Integer source = sources.get(shard);
    return source == null ? OptionalInt.empty() : OptionalInt.of(source);
  }
}
