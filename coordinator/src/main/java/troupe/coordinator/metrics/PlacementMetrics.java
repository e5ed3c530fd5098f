package troupe.coordinator.metrics;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;

/**
 * Who lives where from an epoch on.
 *
 * @param epoch the epoch
 * @param step the step it goes on from
 * @param nodes what lives on each node, by its name; on each device of a node of several
 */
public record PlacementMetrics(int epoch, long step, SortedMap<String, Owners> nodes)
    implements MetricsRecord {
  /**
   * What lives in a place, in canonical order.
   *
   * @param experts each {@code LAYER/EXPERT}
   */
  public record Owners(List<Integer> ranks, List<String> experts) {
    /** Copies the lists. */
    public Owners {
      ranks = List.copyOf(ranks);
      experts = List.copyOf(experts);
    }
  }

  /** Copies the map. */
  public PlacementMetrics {
    nodes = Collections.unmodifiableSortedMap(new TreeMap<>(nodes));
  }

  /**
   * Says it by name.
   *
   * @param names of all places, with or without owners; two of the same name get the numbers of
   *     their nodes behind it
   */
  public static PlacementMetrics of(
      int epoch, long step, Placement placement, Map<Place, String> names) {
    SortedMap<String, Owners> nodes = new TreeMap<>();
    names.forEach(
        (place, name) -> {
          List<Integer> ranks = new ArrayList<>();
          for (int rank = 0; rank < placement.ranks().size(); rank++) {
            if (placement.ranks().get(rank).equals(place)) {
              ranks.add(rank);
            }
          }
          List<String> experts =
              placement.experts().entrySet().stream()
                  .filter(entry -> entry.getValue().equals(place))
                  .map(entry -> entry.getKey().toString())
                  .toList();
          boolean isShared = Collections.frequency(names.values(), name) > 1;
          nodes.put(isShared ? name + "#" + place.node() : name, new Owners(ranks, experts));
        });
    return new PlacementMetrics(epoch, step, nodes);
  }
}
