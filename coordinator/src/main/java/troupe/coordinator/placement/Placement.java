package troupe.coordinator.placement;

import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import troupe.router.RouterActor;

/**
 * The node of every expert and of every rank.
 *
 * @param experts node by expert, in canonical order
 * @param ranks node by rank
 */
public record Placement(SortedMap<ExpertId, Integer> experts, List<Integer> ranks)
    implements RouterActor.Placement {
  /** Copies both. */
  public Placement {
    experts = Collections.unmodifiableSortedMap(new TreeMap<>(experts));
    ranks = List.copyOf(ranks);
  }

  /** The same with an expert on another node. */
  public Placement with(ExpertId expert, int node) {
    SortedMap<ExpertId, Integer> moved = new TreeMap<>(experts);
    moved.put(expert, node);
    return new Placement(moved, ranks);
  }

  @Override
  public int nodeOfExpert(int layer, int expert) {
    return experts.get(new ExpertId(layer, expert));
  }

  @Override
  public int nodeOfRank(int rank) {
    return ranks.get(rank);
  }
}
