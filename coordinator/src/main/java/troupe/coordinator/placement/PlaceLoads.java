package troupe.coordinator.placement;

import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * How busy places are with experts, and what would make that even. Layers compute one after the
 * other, and each takes as long as its busiest place; so what counts is the sum over layers of
 * these. For a search: it changes as moves are tried.
 *
 * <p>Suffixes: P places, L layers with experts.
 */
final class PlaceLoads {
  /** Tries that gain nearly as much as the best one are as good as it if they are cheaper. */
  private static final double AS_GOOD = 0.9;

  private final List<OwnerPlace> places;
  private final List<Place> ranks;
  private final SortedMap<ExpertId, Place> homes;
  private final long[] room_P;
  private final List<LayerLoads> layers;

  /** The most that a try in each layer gains; NaN where that is not known yet. */
  private final double[] mostGain_L;

  /** A layer, and a try in it. */
  private record Step(LayerLoads layer, int l, LayerLoads.Try move) {}

  /**
   * @param nodes those that may hold owners; experts elsewhere stay there and do not count
   * @param load rows by expert; those that are left out count as none
   */
  PlaceLoads(
      Placement placement,
      Collection<? extends OwnerNode> nodes,
      Map<ExpertId, Double> load,
      Footprint footprint) {
    places = OwnerPlace.of(nodes);
    ranks = placement.ranks();
    homes = new TreeMap<>(placement.experts());
    room_P =
        places.stream()
            .mapToLong(
                place -> footprint.roomForExperts(place, Balancer.count(ranks, place.place())))
            .toArray();
    Map<Place, Integer> indexes = new HashMap<>();
    places.forEach(place -> indexes.put(place.place(), indexes.size()));
    SortedMap<Integer, LayerLoads> byLayer = new TreeMap<>();
    homes.forEach(
        (expert, home) -> {
          Integer p = indexes.get(home);
          if (p != null) {
            byLayer
                .computeIfAbsent(expert.layer(), layer -> new LayerLoads(places))
                .add(new LayerLoads.Expert(expert, load.getOrDefault(expert, 0.0)), p);
            room_P[p]--;
          }
        });
    layers = List.copyOf(byLayer.values());
    mostGain_L = new double[layers.size()];
    Arrays.fill(mostGain_L, Double.NaN);
  }

  /**
   * What all layers take, over what they take at least wherever their experts live: 1 is as even as
   * can be, and if there is no load.
   */
  double imbalance() {
    double least = least();
    return least > 0 ? busiest() / least : 1;
  }

  /** What all layers take, over what they take where load is even; 1 if there is no load. */
  double overMean() {
    double mean = layers.stream().mapToDouble(LayerLoads::mean).sum();
    return mean > 0 ? busiest() / mean : 1;
  }

  private double busiest() {
    return layers.stream().mapToDouble(LayerLoads::busiest).sum();
  }

  private double least() {
    return layers.stream().mapToDouble(LayerLoads::least).sum();
  }

  /** Who lives where after what was tried. */
  Placement placement() {
    return new Placement(homes, ranks);
  }

  /**
   * Moves experts from the busiest place of a layer, or exchanges them, one after the other, until
   * all layers take no more than {@code goal} times the least that they can, or nothing helps any
   * more. Each time it takes what helps most, but where one try is enough to reach the goal the
   * cheapest that is: rather within a node than to another, rather a move than an exchange. That
   * makes few moves, though not provably the fewest.
   */
  void improve(double goal) {
    double allowed = goal * least();
    for (double over = busiest() - allowed; over > 0; over = busiest() - allowed) {
      Optional<Step> next = next(over);
      if (next.isEmpty()) {
        return;
      }
      carryOut(next.get());
    }
  }

  private Optional<Step> next(double over) {
    int widest = -1;
    for (int l = 0; l < mostGain_L.length; l++) {
      if (Double.isNaN(mostGain_L[l])) {
        mostGain_L[l] = layers.get(l).mostGain(room_P);
      }
      widest = widest < 0 || mostGain_L[l] > mostGain_L[widest] ? l : widest;
    }
    if (widest < 0 || mostGain_L[widest] == 0) {
      return Optional.empty();
    }
    return mostGain_L[widest] >= over
        ? IntStream.range(0, mostGain_L.length)
            .filter(l -> mostGain_L[l] >= over)
            .mapToObj(l -> step(l, over))
            .min(
                Comparator.<Step>comparingInt(step -> step.move.cost())
                    .thenComparingDouble(step -> -step.move.gain()))
        : Optional.of(step(widest, AS_GOOD * mostGain_L[widest]));
  }

  private Step step(int l, double gain) {
    LayerLoads layer = layers.get(l);
    return new Step(layer, l, layer.cheapest(gain, room_P).orElseThrow());
  }

  private void carryOut(Step step) {
    LayerLoads.Try move = step.move;
    step.layer.carryOut(move);
    homes.put(move.out().id(), places.get(move.to()).place());
    mostGain_L[step.l] = Double.NaN;
    if (move.back() != null) {
      homes.put(move.back().id(), places.get(move.from()).place());
      return;
    }
    room_P[move.from()]++;
    room_P[move.to()]--;
    if (room_P[move.from()] == 1 || room_P[move.to()] == 0) {
      // What is possible has changed in all layers.
      Arrays.fill(mostGain_L, Double.NaN);
    }
  }
}
