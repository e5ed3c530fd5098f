package troupe.coordinator.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;

/**
 * The same training spread in three ways, one after the other, several times.
 *
 * @param pairs in the order in which they were measured
 */
public record NodesResult(List<Pair> pairs) {
  /** Runs right after each other, which a machine whose speed drifts treats alike. */
  public record Pair(Map<Spread, RunTiming> timings) {
    /** Copies the map. */
    public Pair {
      timings = Map.copyOf(timings);
    }

    /** One of the runs. */
    public RunTiming of(Spread spread) {
      return timings.get(spread);
    }

    /** Speed on many nodes in per cent of that in one process. */
    public double manyPercent() {
      return percent(Spread.MANY, Spread.ONE);
    }

    /** Speed with copies in per cent of that without. */
    public double copiesPercent() {
      return percent(Spread.COPIES, Spread.MANY);
    }

    private double percent(Spread spread, Spread base) {
      return 100 * of(spread).tokensPerSecond() / of(base).tokensPerSecond();
    }
  }

  /** Copies the list. */
  public NodesResult {
    pairs = List.copyOf(pairs);
  }

  /** The median over pairs of something of them. */
  public double median(ToDoubleFunction<Pair> value) {
    return Median.of(pairs.stream().mapToDouble(value).toArray());
  }

  /** The median over pairs of something of the runs that were spread in that way. */
  public double median(Spread spread, ToDoubleFunction<RunTiming> value) {
    return median(pair -> value.applyAsDouble(pair.of(spread)));
  }

  /** The hash with which the first run ended. */
  public String hash() {
    return pairs.getFirst().of(Spread.ONE).hash();
  }

  /** A line for each run that did not end with the parameters of the first. */
  public List<String> differences() {
    List<String> lines = new ArrayList<>();
    for (int i = 0; i < pairs.size(); i++) {
      for (Spread spread : Spread.values()) {
        String found = pairs.get(i).of(spread).hash();
        if (!found.equals(hash())) {
          lines.add(
              "hash: %s of pair %d, %s (expected: %s, as one of pair 1)"
                  .formatted(found, i + 1, spread.word(), hash()));
        }
      }
    }
    return lines;
  }
}
