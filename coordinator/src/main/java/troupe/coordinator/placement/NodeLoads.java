package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How busy nodes are with experts, relative to their weights, and what would make that even. For a
 * search: it changes as moves are tried.
 *
 * <p>Suffix: N nodes.
 */
final class NodeLoads {
  /** A try has to lower the busiest node by this share of the mean to be worth the move. */
  private static final double LEAST_GAIN = 0.005;

  private final List<OwnerNode> nodes;
  private final Map<ExpertId, Double> load;
  private final double[] load_N;
  private final long[] room_N;
  private final List<List<ExpertId>> experts_N = new ArrayList<>();
  private final double mean;
  private Placement placement;

  /**
   * What is tried: an expert goes to another node, and one from there comes back or {@code null}.
   */
  private record Try(ExpertId out, int to, ExpertId back, double max) {}

  /**
   * @param nodes those that may hold owners; experts elsewhere stay there and do not count
   * @param load rows by expert; those that are left out count as none
   */
  NodeLoads(
      Placement placement,
      Collection<? extends OwnerNode> nodes,
      Map<ExpertId, Double> load,
      Footprint footprint) {
    this.placement = placement;
    this.nodes = nodes.stream().<OwnerNode>map(node -> node).sorted(OwnerNode.ORDER).toList();
    this.load = load;
    load_N = new double[nodes.size()];
    room_N = new long[nodes.size()];
    Map<Integer, Integer> indexes = new HashMap<>();
    double weights = 0;
    for (int n = 0; n < load_N.length; n++) {
      OwnerNode node = this.nodes.get(n);
      indexes.put(node.node(), n);
      experts_N.add(new ArrayList<>());
      long ranks = placement.ranks().stream().filter(number -> number == node.node()).count();
      room_N[n] = footprint.roomForExperts(node, ranks);
      weights += node.weight();
    }
    double sum = 0;
    for (Map.Entry<ExpertId, Integer> entry : placement.experts().entrySet()) {
      Integer n = indexes.get(entry.getValue());
      if (n != null) {
        experts_N.get(n).add(entry.getKey());
        load_N[n] += loadOf(entry.getKey());
        room_N[n]--;
        sum += loadOf(entry.getKey());
      }
    }
    mean = sum / weights;
  }

  /** Load by weight of the busiest node over that of all; 1 is even, and if there is no load. */
  double imbalance() {
    return mean > 0 ? perWeight(busiest(), 0) / mean : 1;
  }

  /** Who lives where after what was tried. */
  Placement placement() {
    return placement;
  }

  /**
   * Moves experts from the busiest node, or exchanges them, one after the other, until no node has
   * more than {@code goal} times the mean or nothing helps any more. Each time it takes what brings
   * both nodes below the goal, rather a move than an exchange, or else what lowers the higher of
   * the two most: where one will do it takes one, else few, though not provably the fewest.
   */
  void improve(double goal) {
    while (imbalance() > goal) {
      int hot = busiest();
      Optional<Try> best = best(hot, goal * mean);
      if (best.isEmpty() || best.get().max > perWeight(hot, 0) - LEAST_GAIN * mean) {
        return;
      }
      carryOut(hot, best.get());
    }
  }

  private Optional<Try> best(int hot, double goal) {
    Comparator<Try> order =
        Comparator.<Try>comparingDouble(one -> Math.max(one.max, goal))
            .thenComparing(one -> one.back != null)
            .thenComparingDouble(Try::max);
    List<Try> tries = new ArrayList<>();
    for (ExpertId out : experts_N.get(hot)) {
      for (int n = 0; n < load_N.length; n++) {
        if (n == hot) {
          continue;
        }
        if (room_N[n] > 0) {
          tries.add(attempt(hot, out, n, null));
        }
        for (ExpertId back : experts_N.get(n)) {
          if (loadOf(back) < loadOf(out)) {
            tries.add(attempt(hot, out, n, back));
          }
        }
      }
    }
    return tries.stream().min(order); // The first of equals.
  }

  private Try attempt(int hot, ExpertId out, int to, ExpertId back) {
    double difference = loadOf(out) - (back == null ? 0 : loadOf(back));
    double max = Math.max(perWeight(hot, -difference), perWeight(to, difference));
    return new Try(out, to, back, max);
  }

  private void carryOut(int hot, Try one) {
    shift(one.out, hot, one.to);
    if (one.back != null) {
      shift(one.back, one.to, hot);
    }
  }

  private void shift(ExpertId expert, int from, int to) {
    experts_N.get(from).remove(expert);
    experts_N.get(to).add(expert);
    load_N[from] -= loadOf(expert);
    load_N[to] += loadOf(expert);
    room_N[from]++;
    room_N[to]--;
    placement = placement.with(expert, nodes.get(to).node());
  }

  private int busiest() {
    int busiest = 0;
    for (int n = 1; n < load_N.length; n++) {
      busiest = perWeight(n, 0) > perWeight(busiest, 0) ? n : busiest;
    }
    return busiest;
  }

  private double perWeight(int n, double more) {
    return (load_N[n] + more) / nodes.get(n).weight();
  }

  private double loadOf(ExpertId expert) {
    return load.getOrDefault(expert, 0.0);
  }
}
