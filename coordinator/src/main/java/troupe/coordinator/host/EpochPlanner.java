package troupe.coordinator.host;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.TreeSet;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.OwnerNode;
import troupe.coordinator.placement.Placement;
import troupe.core.config.RunConfig;

/**
 * Decides which step an epoch goes on from and who gets what from whom. All shards are taken as
 * they were at exactly the same step: a pure function of what hosts report, whoever coordinates.
 */
public final class EpochPlanner {
  private final Map<NodeInfo, Inventory> reported;
  private final SortedMap<ShardId, Set<NodeInfo>> owners;
  private final long step;

  /** How many shards a node is asked for so far. */
  private final Map<NodeInfo, Integer> asked = new HashMap<>();

  private EpochPlanner(
      Map<NodeInfo, Inventory> reported, SortedMap<ShardId, Set<NodeInfo>> owners) {
    this.reported = reported;
    this.owners = owners;
    step = baseStep(owners.keySet(), reported.values());
  }

  /**
   * Plans an epoch from the largest step at which every shard is in the memory or on the disk of
   * some node; 0 always is, for there everything comes from the seed.
   *
   * @param reported what each node has that takes part, with or without owners
   * @param placement where everyone is to live, on these nodes only
   */
  public static EpochPlan plan(
      RunConfig config, int epoch, Map<NodeInfo, Inventory> reported, Placement placement) {
    List<NodeInfo> nodes =
        reported.keySet().stream().sorted(Comparator.comparingInt(NodeInfo::node)).toList();
    EpochPlanner planner = new EpochPlanner(reported, owners(config, nodes, placement));
    return new EpochPlan(epoch, planner.step, nodes, placement, planner.sources());
  }

  /** All shards of a run and the nodes that need them: the trunk's are all nodes with a rank. */
  private static SortedMap<ShardId, Set<NodeInfo>> owners(
      RunConfig config, List<NodeInfo> nodes, Placement placement) {
    Map<Integer, NodeInfo> byNumber = new HashMap<>();
    nodes.forEach(node -> byNumber.put(node.node(), node));
    SortedMap<ShardId, Set<NodeInfo>> owners = new TreeMap<>();
    for (int rank = 0; rank < config.train().ranks(); rank++) {
      NodeInfo owner = owner(byNumber, ShardId.moments(rank), placement.nodeOfRank(rank));
      owners.put(ShardId.moments(rank), Set.of(owner));
      owners.computeIfAbsent(ShardId.trunk(), shard -> new HashSet<>()).add(owner);
    }
    for (ExpertId expert : ExpertId.all(config)) {
      ShardId shard = ShardId.expert(expert);
      owners.put(
          shard,
          Set.of(owner(byNumber, shard, placement.nodeOfExpert(expert.layer(), expert.expert()))));
    }
    return owners;
  }

  private static NodeInfo owner(Map<Integer, NodeInfo> byNumber, ShardId shard, int number) {
    NodeInfo owner = byNumber.get(number);
    if (owner == null) {
      throw new IllegalArgumentException(
          "%s: node %s (expected: one of %s)".formatted(shard, number, byNumber.keySet()));
    }
    return owner;
  }

  private static long baseStep(Set<ShardId> shards, Collection<Inventory> inventories) {
    long disk = inventories.stream().mapToLong(Inventory::diskStep).max().orElse(-1);
    TreeSet<Long> steps = new TreeSet<>(Set.of(0L));
    for (Inventory inventory : inventories) {
      steps.add(Math.max(0, inventory.diskStep()));
      inventory.held().values().forEach(steps::addAll);
    }
    for (long step : steps.descendingSet()) {
      // Every disk counts, but the newest one ends the search: it has all shards.
      if (step <= Math.max(0, disk) || areAllHeld(shards, inventories, step)) {
        return step;
      }
    }
    throw new IllegalStateException("step 0 was left out");
  }

  private static boolean areAllHeld(
      Set<ShardId> shards, Collection<Inventory> inventories, long step) {
    return shards.stream()
        .allMatch(shard -> inventories.stream().anyMatch(one -> one.has(shard, step)));
  }

  private SortedMap<ShardId, Integer> sources() {
    SortedMap<ShardId, Integer> sources = new TreeMap<>();
    owners.forEach(
        (shard, all) -> {
          List<NodeInfo> lacking = new ArrayList<>(all);
          lacking.removeIf(owner -> has(owner, shard));
          List<NodeInfo> having = new ArrayList<>(reported.keySet());
          having.removeIf(node -> !has(node, shard));
          if (!lacking.isEmpty() && !having.isEmpty()) {
            NodeInfo source = Collections.min(having, preferenceOf(shard, lacking));
            asked.merge(source, lacking.size(), Integer::sum);
            sources.put(shard, source.node());
          }
        });
    return sources;
  }

  /** Near ones first, then those that are asked least, then memory before disk. */
  private Comparator<NodeInfo> preferenceOf(ShardId shard, List<NodeInfo> lacking) {
    return Comparator.<NodeInfo>comparingLong(
            source ->
                lacking.stream().filter(owner -> !owner.machine().equals(source.machine())).count())
        .thenComparingInt(source -> asked.getOrDefault(source, 0))
        .thenComparing(source -> !isInMemory(source, shard))
        .thenComparing(OwnerNode.ORDER);
  }

  private boolean has(NodeInfo node, ShardId shard) {
    return reported.get(node).has(shard, step);
  }

  private boolean isInMemory(NodeInfo node, ShardId shard) {
    Set<Long> steps = reported.get(node).held().get(shard);
    return steps != null && steps.contains(step);
  }
}
