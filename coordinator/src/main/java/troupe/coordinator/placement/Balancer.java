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
 * other, so a node that held one layer alone would idle during all others.
 *
 * <p>Stable: who lives on a node that is still there stays, unless that node's device is too small
 * while others have room, or a node without any takes its fair share. Those whose node is gone go
 * to the least loaded. Results depend on names and sizes of nodes, not on their numbers (unless
 * names are equal) or the order in which they are given.
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
    List<OwnerNode> sorted =
        nodes.stream().<OwnerNode>map(node -> node).sorted(OwnerNode.ORDER).toList();
    List<Integer> ranks = ranks(config, sorted, before, footprint);
    return new Placement(experts(config, sorted, ranks, before, load, footprint), ranks);
  }

  private static List<Integer> ranks(
      RunConfig config, List<OwnerNode> nodes, Placement before, Footprint footprint) {
    Spread spread =
        new Spread(nodes, nodes.stream().mapToLong(footprint::roomForRanks).toArray(), 1);
    for (int rank = 0; rank < config.train().ranks(); rank++) {
      boolean placed = before != null && rank < before.ranks().size();
      spread.add(0, 1, placed ? before.nodeOfRank(rank) : Spread.NOWHERE);
    }
    return spread.solve();
  }

  private static SortedMap<ExpertId, Integer> experts(
      RunConfig config,
      List<OwnerNode> nodes,
      List<Integer> ranks,
      Placement before,
      Map<ExpertId, Double> load,
      Footprint footprint) {
    // Where it is all the same, those without ranks have more time for experts.
    List<OwnerNode> idleFirst = new ArrayList<>(nodes);
    idleFirst.sort(
        Comparator.<OwnerNode>comparingDouble(node -> (double) count(ranks, node) / node.weight())
            .thenComparing(OwnerNode.ORDER));
    long[] room =
        idleFirst.stream()
            .mapToLong(node -> footprint.roomForExperts(node, count(ranks, node)))
            .toArray();
    List<ExpertId> experts = ExpertId.all(config);
    double mean =
        experts.stream().filter(load::containsKey).mapToDouble(load::get).average().orElse(1);
    double least = mean > 0 ? LEAST_LOAD * mean : 1;
    Spread spread = new Spread(idleFirst, room, config.model().layers());
    for (ExpertId expert : experts) {
      Integer home = before == null ? null : before.experts().get(expert);
      spread.add(
          expert.layer(),
          Math.max(least, load.getOrDefault(expert, mean)),
          home == null ? Spread.NOWHERE : home);
    }
    List<Integer> homes = spread.solve();
    SortedMap<ExpertId, Integer> placed = new TreeMap<>();
    for (int i = 0; i < homes.size(); i++) {
      placed.put(experts.get(i), homes.get(i));
    }
    return placed;
  }

  private static long count(List<Integer> ranks, OwnerNode node) {
    return ranks.stream().filter(number -> number == node.node()).count();
  }
}
