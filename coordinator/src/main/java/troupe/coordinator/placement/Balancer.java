package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import troupe.core.config.RunConfig;

/**
 * Decides where ranks and experts live. Ranks come first, spread by threads; then experts, spread
 * by load over threads, each layer for itself as well as all together: layers compute one after the
 * other, so a device that held one layer alone would idle during all others. Places are the devices
 * of all nodes, each with its share of its node's threads.
 *
 * <p>Stable: who lives on a node that is still there stays, unless the device is too small while
 * others have room, or a place without any takes its fair share. Those whose node is gone go to the
 * least loaded. Results depend on names and sizes of nodes, not on their numbers (unless names are
 * equal) or the order in which they are given.
 */
public final class Balancer {
  /**
   * An expert counts at least this share of the mean load: its parameters are stepped even if
   * nobody is routed to it, and it may be asked for again.
   */
  private static final double LEAST_LOAD = 0.1;

  private Balancer() {}

  /**
   * Places everyone. No device is filled beyond its memory as long as there is room elsewhere; if
   * there is none the surplus is spread evenly.
   *
   * @param nodes those that may hold owners, at least one
   * @param before who lives where now, or {@code null} at the start
   * @param load rows that experts are chosen for in a step; those that are left out count as the
   *     mean
   */
  public static Placement place(
      RunConfig config,
      Collection<? extends OwnerNode> nodes,
      Placement before,
      Map<ExpertId, Double> load,
      Footprint footprint) {
    if (nodes.isEmpty()) {
      throw new IllegalArgumentException("nodes: none (expected: at least one)");
    }
    List<OwnerPlace> places = OwnerPlace.of(nodes);
    List<Place> ranks = ranks(config, places, before, footprint);
    return new Placement(experts(config, places, ranks, before, load, footprint), ranks);
  }

  /**
   * Where {@link #place} has everyone live at the start of a run whose only node has devices of
   * these sizes.
   *
   * @param deviceBytes memory of each, 0 if unknown
   */
  public static Placement alone(RunConfig config, List<Long> deviceBytes) {
    Alone node = new Alone(deviceBytes);
    return place(config, List.of(node), null, Map.of(), Footprint.of(config));
  }

  private record Alone(List<Long> deviceBytes) implements OwnerNode {
    @Override
    public int node() {
      return 0;
    }

    @Override
    public String name() {
      return "";
    }

    @Override
    public int threads() {
      return deviceBytes.size();
    }
  }

  private static List<Place> ranks(
      RunConfig config, List<OwnerPlace> places, Placement before, Footprint footprint) {
    Spread spread =
        new Spread(places, places.stream().mapToLong(footprint::roomForRanks).toArray(), 1);
    for (int rank = 0; rank < config.train().ranks(); rank++) {
      boolean placed = before != null && rank < before.ranks().size();
      spread.add(0, 1, placed ? before.ranks().get(rank) : null);
    }
    return spread.solve();
  }

  private static SortedMap<ExpertId, Place> experts(
      RunConfig config,
      List<OwnerPlace> places,
      List<Place> ranks,
      Placement before,
      Map<ExpertId, Double> load,
      Footprint footprint) {
    // Where it is all the same, those without ranks have more time for experts.
    List<OwnerPlace> idleFirst = new ArrayList<>(places);
    idleFirst.sort(
        Comparator.comparingDouble(place -> count(ranks, place.place()) / place.weight()));
    long[] room =
        idleFirst.stream()
            .mapToLong(place -> footprint.roomForExperts(place, count(ranks, place.place())))
            .toArray();
    List<ExpertId> experts = ExpertId.all(config);
    double mean =
        experts.stream().filter(load::containsKey).mapToDouble(load::get).average().orElse(1);
    double least = mean > 0 ? LEAST_LOAD * mean : 1;
    Spread spread = new Spread(idleFirst, room, config.model().layers());
    for (ExpertId expert : experts) {
      spread.add(
          expert.layer(),
          Math.max(least, load.getOrDefault(expert, mean)),
          before == null ? null : before.experts().get(expert));
    }
    List<Place> homes = spread.solve();
    SortedMap<ExpertId, Place> placed = new TreeMap<>();
    for (int i = 0; i < homes.size(); i++) {
      placed.put(experts.get(i), homes.get(i));
    }
    return placed;
  }

  /** How many ranks live in a place. */
  static long count(List<Place> ranks, Place place) {
    return ranks.stream().filter(place::equals).count();
  }
}
