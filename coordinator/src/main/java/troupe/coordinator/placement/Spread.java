package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.IntStream;

/**
 * Spreads items of known load over places. Best is what has the smallest sum over all places of
 *
 * <pre>
 *   (load^2 + layers * sum over layers of (load of the layer)^2) / weight
 * </pre>
 *
 * which is convex, lowest where every place has its share of each layer, and gives both parts the
 * same weight there. Items are placed heaviest first, each where the sum grows least. Ties go to
 * the place that comes first.
 *
 * <p>Suffixes: P places, L layers.
 */
final class Spread {
  /** Differences below this share are rounding. */
  private static final double EPSILON = 1e-9;

  private final List<OwnerPlace> places;
  private final long[] room_P;
  private final int layers;
  private final List<Item> items = new ArrayList<>();
  private final double[] load_P;
  private final double[][] load_PL;
  private final long[] count_P;

  /** An item; {@code home} is an index of {@link #places}, or -1. */
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
   * @param places at least one, those first that ties shall go to
   * @param room_P how many items each has room for
   */
  Spread(List<OwnerPlace> places, long[] room_P, int layers) {
    this.places = List.copyOf(places);
    this.room_P = room_P.clone();
    this.layers = layers;
    load_P = new double[places.size()];
    load_PL = new double[places.size()][layers];
    count_P = new long[places.size()];
  }

  /**
   * Adds an item.
   *
   * @param place where it is, which may be gone; {@code null} if it is nowhere
   */
  void add(int layer, double load, Place place) {
    int home =
        IntStream.range(0, places.size())
            .filter(p -> places.get(p).place().equals(place))
            .findFirst()
            .orElse(-1);
    Item item = new Item(items.size(), layer, load, -1);
    items.add(item);
    if (home >= 0) {
      put(item, home);
    }
  }

  /** Places everyone and returns their places, in the order of adding. */
  List<Place> solve() {
    int[] newcomers = IntStream.range(0, places.size()).filter(p -> count_P[p] == 0).toArray();
    evictSurplus();
    items.stream().filter(item -> item.home < 0).sorted(HEAVIEST_FIRST).forEach(this::place);
    fill(newcomers);
    return items.stream().map(item -> places.get(item.home).place()).toList();
  }

  /** Takes the lightest items from places that are too small, as far as others have room. */
  private void evictSurplus() {
    long free = -items.stream().filter(item -> item.home < 0).count();
    for (int p = 0; p < count_P.length; p++) {
      free += Math.max(0, room_P[p] - count_P[p]);
    }
    List<Item> lightestFirst = items.stream().sorted(HEAVIEST_FIRST.reversed()).toList();
    for (Item item : lightestFirst) {
      if (free > 0 && item.home >= 0 && count_P[item.home] > room_P[item.home]) {
        take(item);
        free--;
      }
    }
  }

  private void place(Item item) {
    int best = -1;
    for (int p = 0; p < count_P.length; p++) {
      if (best < 0 || isBetter(item, p, best)) {
        best = p;
      }
    }
    put(item, best);
  }

  private boolean isBetter(Item item, int p, int than) {
    long surplus = surplusWithOneMore(p);
    long otherSurplus = surplusWithOneMore(than);
    if (surplus != otherSurplus) {
      return surplus < otherSurplus;
    }
    return growth(item, p) < growth(item, than) * (1 - EPSILON);
  }

  private long surplusWithOneMore(int p) {
    return Math.max(0, count_P[p] + 1 - room_P[p]);
  }

  /**
   * Moves items to places that had none, at the start all: always the one that helps most, until
   * each has its share or no move helps.
   */
  private void fill(int[] newcomers) {
    double sum = items.stream().mapToDouble(item -> item.load).sum();
    double weights = places.stream().mapToDouble(OwnerPlace::weight).sum();
    while (true) {
      Item bestItem = null;
      int bestPlace = -1;
      double bestGain = 0;
      for (int p : newcomers) {
        double share = sum * places.get(p).weight() / weights;
        for (Item item : items) {
          boolean isShareMet = load_P[p] + item.load / 2 > share * (1 + EPSILON);
          if (item.home == p || count_P[p] >= room_P[p] || isShareMet) {
            continue;
          }
          double relief = relief(item);
          double gain = relief - growth(item, p);
          if (gain > Math.max(EPSILON * relief, bestGain * (1 + EPSILON))) {
            bestItem = item;
            bestPlace = p;
            bestGain = gain;
          }
        }
      }
      if (bestItem == null) {
        return;
      }
      take(bestItem);
      put(bestItem, bestPlace);
    }
  }

  /** By how much the sum grows when an item is put in a place. */
  private double growth(Item item, int p) {
    double own = item.load * (2 * load_P[p] + item.load);
    double layer = item.load * (2 * load_PL[p][item.layer] + item.load);
    return (own + layers * layer) / places.get(p).weight();
  }

  /** By how much the sum shrinks when an item is taken from its place. */
  private double relief(Item item) {
    double own = item.load * (2 * load_P[item.home] - item.load);
    double layer = item.load * (2 * load_PL[item.home][item.layer] - item.load);
    return (own + layers * layer) / places.get(item.home).weight();
  }

  private void put(Item item, int p) {
    item.home = p;
    add(item, p, 1);
  }

  private void take(Item item) {
    add(item, item.home, -1);
    item.home = -1;
  }

  private void add(Item item, int p, int sign) {
    load_P[p] += sign * item.load;
    load_PL[p][item.layer] += sign * item.load;
    count_P[p] += sign;
  }
}
