package troupe.coordinator.host;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import troupe.coordinator.placement.NodeInfo;
import troupe.core.config.RunConfig;

/**
 * Which nodes keep copies of which others' state: the next ones in the ring of all nodes by number.
 * Numbers are random, so the ring mixes machines.
 */
public final class ReplicaRing {
  /** The memory of copies beyond this is better spent on the model. */
  private static final int MOST_BY_DEFAULT = 2;

  private final List<Integer> ring;
  private final Set<Integer> withRanks;
  private final int trunkOwner;
  private final int copies;

  /** The ring of an epoch. */
  public ReplicaRing(EpochPlan plan, RunConfig.Replicate config) {
    ring = plan.nodes().stream().map(NodeInfo::node).sorted().toList();
    withRanks = plan.placement().nodesOfRanks();
    trunkOwner = plan.owner(ShardId.trunk());
    copies = copies(config, ring.size());
  }

  /**
   * How many nodes beside its owner keep a shard: as many as the config says, or by default as many
   * as a majority can lose at once, but never more than there are; none if nothing is replicated.
   */
  public static int copies(RunConfig.Replicate config, int nodes) {
    int wanted = config.copies() > 0 ? config.copies() : Math.min(MOST_BY_DEFAULT, (nodes - 1) / 2);
    return config.every() == 0 ? 0 : Math.min(wanted, nodes - 1);
  }

  /** Nodes that keep copies of a node's experts and moments, in the order of the ring. */
  public List<Integer> targets(int node) {
    return List.copyOf(after(node).subList(0, copies));
  }

  /**
   * Nodes that a node sends the trunk to. Every node with a rank has it anyway; if these are too
   * few the owner sends it to more: it is the one who hears that it has arrived.
   */
  public List<Integer> trunkTargets(int node) {
    int missing = copies + 1 - withRanks.size();
    if (missing <= 0 || node != trunkOwner) {
      return List.of();
    }
    List<Integer> others = after(node);
    others.removeAll(withRanks);
    return List.copyOf(others.subList(0, missing));
  }

  private List<Integer> after(int node) {
    int at = ring.indexOf(node);
    if (at < 0) {
      throw new IllegalArgumentException("node: " + node + " (expected: one of " + ring + ")");
    }
    List<Integer> others = new ArrayList<>(ring.subList(at + 1, ring.size()));
    others.addAll(ring.subList(0, at));
    return others;
  }
}
