package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * How busy places are with the experts of one layer, relative to their weights. For a search: it
 * changes as moves are tried.
 *
 * <p>Suffixes: P places, E experts.
 */
final class LayerLoads {
  /** A try has to make the layer shorter by this share of the mean to be worth the move. */
  private static final double LEAST_GAIN = 0.005;

  /** A shard that goes to another node costs as much as so many that change devices within one. */
  private static final int BETWEEN_NODES = 4;

  private static final Comparator<Try> CHEAPEST =
      Comparator.comparingInt(Try::cost).thenComparingDouble(one -> -one.gain);

  private final List<OwnerPlace> places;
  private final double[] load_P;
  private final List<List<Expert>> experts_P = new ArrayList<>();

  /** An expert and its load. */
  record Expert(ExpertId id, double load) {}

  /**
   * What is tried: an expert goes from the busiest place to another, and one from there comes back
   * or {@code null}.
   *
   * @param gain by how much the busier of the two places is less busy than the first was
   * @param cost of the shards that travel
   */
  record Try(Expert out, int from, int to, Expert back, double gain, int cost) {}

  /** A layer without experts. */
  LayerLoads(List<OwnerPlace> places) {
    this.places = places;
    load_P = new double[places.size()];
    places.forEach(place -> experts_P.add(new ArrayList<>()));
  }

  void add(Expert expert, int p) {
    experts_P.get(p).add(expert);
    load_P[p] += expert.load;
  }

  /** Load by weight of the busiest place: what the layer takes. */
  double busiest() {
    return perWeight(hottest(), 0);
  }

  /** Load by weight of all places together: what the layer takes where load is even. */
  double mean() {
    double sum = 0;
    double weights = 0;
    for (int p = 0; p < load_P.length; p++) {
      sum += load_P[p];
      weights += places.get(p).weight();
    }
    return sum / weights;
  }

  /**
   * What the layer takes at least, wherever its experts live: an expert is never divided, and of
   * more than j times as many experts as there are places, j + 1 share one.
   */
  double least() {
    double[] load_E =
        experts_P.stream()
            .flatMap(List::stream)
            .mapToDouble(expert -> -expert.load)
            .sorted()
            .map(load -> -load)
            .toArray();
    double[] sum_E = new double[load_E.length + 1];
    for (int e = 0; e < load_E.length; e++) {
      sum_E[e + 1] = sum_E[e] + load_E[e];
    }
    double strongest = places.stream().mapToDouble(OwnerPlace::weight).max().orElseThrow();
    double least = mean();
    for (int shared = 1, e = 0; e < load_E.length; shared++, e += load_P.length) {
      // The heaviest e + 1 experts: the lightest of these are what shares a place at best.
      least = Math.max(least, (sum_E[e + 1] - sum_E[e + 1 - shared]) / strongest);
    }
    return least;
  }

  /** The largest gain that any try has; 0 if none is worth it. */
  double mostGain(long[] room_P) {
    double[] most = {LEAST_GAIN * mean()};
    double least = most[0];
    forEachTry(room_P, one -> most[0] = Math.max(most[0], one.gain));
    return most[0] > least ? most[0] : 0;
  }

  /**
   * Of those tries that gain at least so much the cheapest one, of these the one that gains most.
   */
  Optional<Try> cheapest(double gain, long[] room_P) {
    Try[] best = {null};
    forEachTry(
        room_P,
        one -> {
          if (one.gain >= gain && (best[0] == null || CHEAPEST.compare(one, best[0]) < 0)) {
            best[0] = one;
          }
        });
    return Optional.ofNullable(best[0]);
  }

  private void forEachTry(long[] room_P, Consumer<Try> action) {
    int hot = hottest();
    for (Expert out : experts_P.get(hot)) {
      for (int p = 0; p < load_P.length; p++) {
        if (p == hot) {
          continue;
        }
        if (room_P[p] > 0) {
          action.accept(attempt(hot, out, p, null));
        }
        for (Expert back : experts_P.get(p)) {
          if (back.load < out.load) {
            action.accept(attempt(hot, out, p, back));
          }
        }
      }
    }
  }

  private Try attempt(int hot, Expert out, int to, Expert back) {
    double difference = out.load - (back == null ? 0 : back.load);
    double gain =
        perWeight(hot, 0) - Math.max(perWeight(hot, -difference), perWeight(to, difference));
    int shards = back == null ? 1 : 2;
    boolean isNear = places.get(hot).place().node() == places.get(to).place().node();
    return new Try(out, hot, to, back, gain, isNear ? shards : BETWEEN_NODES * shards);
  }

  /** Does what was tried. */
  void carryOut(Try one) {
    shift(one.out, one.from, one.to);
    if (one.back != null) {
      shift(one.back, one.to, one.from);
    }
  }

  private void shift(Expert expert, int from, int to) {
    experts_P.get(from).remove(expert);
    load_P[from] -= expert.load;
    add(expert, to);
  }

  private int hottest() {
    int hottest = 0;
    for (int p = 1; p < load_P.length; p++) {
      hottest = perWeight(p, 0) > perWeight(hottest, 0) ? p : hottest;
    }
    return hottest;
  }

  private double perWeight(int p, double more) {
    return (load_P[p] + more) / places.get(p).weight();
  }
}
