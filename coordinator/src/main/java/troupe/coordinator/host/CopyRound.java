package troupe.coordinator.host;

import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;

/** The copies of one step that a node sends to others: which are made, which have arrived. */
final class CopyRound {
  private final EpochPlan plan;
  private final int node;
  private final ReplicaRing ring;
  private final long step;
  private final SortedSet<ShardId> unmade = new TreeSet<>();
  private final Map<ShardId, Set<Integer>> unconfirmed = new HashMap<>();

  /**
   * Copies of everything that lives on a node.
   *
   * @param ring who gets them
   */
  CopyRound(EpochPlan plan, int node, ReplicaRing ring, long step) {
    this.plan = plan;
    this.node = node;
    this.ring = ring;
    this.step = step;
    plan.placement()
        .experts()
        .forEach(
            (expert, home) -> {
              if (home.node() == node) {
                unmade.add(ShardId.expert(expert));
              }
            });
    for (int rank = 0; rank < plan.placement().ranks().size(); rank++) {
      if (plan.placement().nodeOfRank(rank) == node) {
        unmade.add(ShardId.moments(rank));
        unmade.add(ShardId.trunk());
      }
    }
  }

  long step() {
    return step;
  }

  /** Of the ranks of a node, the one that copies the trunk; -1 if there are none. */
  int trunkFrom(Collection<Integer> ranksHere) {
    return ranksHere.isEmpty() ? -1 : Collections.min(ranksHere);
  }

  /** A copy is made; returns whether it belongs here. */
  boolean onCopied(ShardCopy copy) {
    if (copy.step() != step || !unmade.remove(copy.shard())) {
      return false;
    }
    unconfirmed.put(copy.shard(), new HashSet<>(targets(copy.shard())));
    return true;
  }

  /** How many copies a node gets from this one. */
  int copiesTo(int other) {
    return (int) unmade.stream().filter(shard -> targets(shard).contains(other)).count();
  }

  /** The nodes that get a copy of a shard from this one. */
  Collection<Integer> targets(ShardId shard) {
    return shard.kind() == ShardId.Kind.TRUNK ? ring.trunkTargets(node) : ring.targets(node);
  }

  /** A copy has arrived at a node. */
  void onArrived(ShardId shard, long ofStep, int atNode) {
    Set<Integer> waiting = unconfirmed.get(shard);
    if (ofStep == step && waiting != null) {
      waiting.remove(atNode);
    }
  }

  /** Whether all copies are made, and are where they belong. */
  boolean isComplete() {
    return unmade.isEmpty() && unconfirmed.values().stream().allMatch(Set::isEmpty);
  }
}
