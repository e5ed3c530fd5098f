package troupe.coordinator.placement;

import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import troupe.router.RouterActor;

/**
 * The place of every expert and of every rank: a node, and a device of it.
 *
 * @param experts place by expert, in canonical order
 * @param ranks place by rank
 */
public record Placement(SortedMap<ExpertId, Place> experts, List<Place> ranks)
    implements RouterActor.Placement {
  /** Copies both. */
  public Placement {
    experts = Collections.unmodifiableSortedMap(new TreeMap<>(experts));
    ranks = List.copyOf(ranks);
  }

  /** The same with an expert in another place. */
  public Placement with(ExpertId expert, Place place) {
    SortedMap<ExpertId, Place> moved = new TreeMap<>(experts);
    moved.put(expert, place);
    return new Placement(moved, ranks);
  }

  /** The nodes with experts. */
  public Set<Integer> nodesOfExperts() {
    return experts.values().stream().map(Place::node).collect(Collectors.toSet());
  }

  /** The nodes with ranks. */
  public Set<Integer> nodesOfRanks() {
    return ranks.stream().map(Place::node).collect(Collectors.toSet());
  }

  @Override
  public int nodeOfExpert(int layer, int expert) {
    return experts.get(new ExpertId(layer, expert)).node();
  }

  @Override
  public int nodeOfRank(int rank) {
    return ranks.get(rank).node();
  }
}
