package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Spreads items of known load over nodes. Best is what has the smallest sum over all nodes of
 *
 * <pre>
 *   (load^2 + layers * sum over layers of (load of the layer)^2) / weight
 * </pre>
 *
 * which is convex, lowest where every node has its share of each layer, and gives both parts the
 * same weight there. Items are placed heaviest first, each where the sum grows least. Ties go to
 * the node that comes first.
 *
 * <p>Suffixes: I items, N nodes, L layers.
 */
final class Spread {
  /** The node of an item that has none. */
  static final int NOWHERE = Integer.MIN_VALUE;

  /** Differences below this share are rounding. */
  private static final double EPSILON = 1e-9;

  private final List<OwnerNode> nodes;
  private final long[] room_N;
  private final int layers;
  private final List<Item> items = new ArrayList<>();
  private final double[] load_N;
  private final double[][] load_NL;
  private final long[] count_N;

  /** An item; {@code home} is an index of {@link #nodes}, or -1. */
  private static final class Item {
    private final int index;
    private final int layer;
    private final double load;
    private int home;

    Item(int index, int layer, double load, int home) {
      this.index = index;
      this.layer = layer;
      this.load = load;
      this.home = home;
    }
  }

  private static final Comparator<Item> HEAVIEST_FIRST =
      Comparator.<Item>comparingDouble(item -> -item.load).thenComparingInt(item -> item.index);

  /**
   * @param nodes at least one, those first that ties shall go to
   * @param room_N how many items each has room for
   */
  Spread(List<? extends OwnerNode> nodes, long[] room_N, int layers) {
    this.nodes = List.copyOf(nodes);
    this.room_N = room_N.clone();
    this.layers = layers;
    load_N = new double[nodes.size()];
    load_NL = new double[nodes.size()][layers];
    count_N = new long[nodes.size()];
  }

  /**
   * Adds an item.
   *
   * @param node the number of the node it is on, which may be gone
   */
  void add(int layer, double load, int node) {
    int home =
        node == NOWHERE
            ? -1
            : IntStream.range(0, nodes.size())
                .filter(n -> nodes.get(n).node() == node)
                .findFirst()
                .orElse(-1);
    Item item = new Item(items.size(), layer, load, -1);
    items.add(item);
    if (home >= 0) {
      put(item, home);
    }
  }

  /** Places everyone and returns the numbers of their nodes, in the order of adding. */
  List<Integer> solve() {
    int[] newcomers = IntStream.range(0, nodes.size()).filter(n -> count_N[n] == 0).toArray();
    evictSurplus();
    items.stream().filter(item -> item.home < 0).sorted(HEAVIEST_FIRST).forEach(this::place);
    fill(newcomers);
    return items.stream().map(item -> nodes.get(item.home).node()).toList();
  }

  /** Takes the lightest items from nodes that are too small, as far as others have room. */
  private void evictSurplus() {
    long free = -items.stream().filter(item -> item.home < 0).count();
    for (int n = 0; n < count_N.length; n++) {
      free += Math.max(0, room_N[n] - count_N[n]);
    }
    List<Item> lightestFirst = items.stream().sorted(HEAVIEST_FIRST.reversed()).toList();
    for (Item item : lightestFirst) {
      if (free > 0 && item.home >= 0 && count_N[item.home] > room_N[item.home]) {
        take(item);
        free--;
      }
    }
  }

  private void place(Item item) {
    int best = -1;
    for (int n = 0; n < count_N.length; n++) {
      if (best < 0 || isBetter(item, n, best)) {
        best = n;
      }
    }
    put(item, best);
  }

  private boolean isBetter(Item item, int n, int than) {
    long surplus = surplusWithOneMore(n);
    long otherSurplus = surplusWithOneMore(than);
    if (surplus != otherSurplus) {
      return surplus < otherSurplus;
    }
    return growth(item, n) < growth(item, than) * (1 - EPSILON);
  }

  private long surplusWithOneMore(int n) {
    return Math.max(0, count_N[n] + 1 - room_N[n]);
  }

  /**
   * Moves items to nodes that had none, at the start all: always the one that helps most, until
   * each has its share or no move helps.
   */
  private void fill(int[] newcomers) {
    double sum = items.stream().mapToDouble(item -> item.load).sum();
    double weights = nodes.stream().mapToInt(OwnerNode::weight).sum();
    while (true) {
      Item bestItem = null;
      int bestNode = -1;
      double bestGain = 0;
      for (int n : newcomers) {
        double share = sum * nodes.get(n).weight() / weights;
        for (Item item : items) {
          boolean isShareMet = load_N[n] + item.load / 2 > share * (1 + EPSILON);
          if (item.home == n || count_N[n] >= room_N[n] || isShareMet) {
            continue;
          }
          double relief = relief(item);
          double gain = relief - growth(item, n);
          if (gain > Math.max(EPSILON * relief, bestGain * (1 + EPSILON))) {
            bestItem = item;
            bestNode = n;
            bestGain = gain;
          }
        }
      }
      if (bestItem == null) {
        return;
      }
      take(bestItem);
      put(bestItem, bestNode);
    }
  }

  /** By how much the sum grows when an item is put on a node. */
  private double growth(Item item, int n) {
    double own = item.load * (2 * load_N[n] + item.load);
    double layer = item.load * (2 * load_NL[n][item.layer] + item.load);
    return (own + layers * layer) / nodes.get(n).weight();
  }

  /** By how much the sum shrinks when an item is taken from its node. */
  private double relief(Item item) {
    double own = item.load * (2 * load_N[item.home] - item.load);
    double layer = item.load * (2 * load_NL[item.home][item.layer] - item.load);
    return (own + layers * layer) / nodes.get(item.home).weight();
  }

  private void put(Item item, int n) {
    item.home = n;
    add(item, n, 1);
  }

  private void take(Item item) {
    add(item, item.home, -1);
    item.home = -1;
  }

  private void add(Item item, int n, int sign) {
    load_N[n] += sign * item.load;
    load_NL[n][item.layer] += sign * item.load;
    count_N[n] += sign;
  }
}
