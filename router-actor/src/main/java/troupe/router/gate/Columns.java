package troupe.router.gate;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Numbers of a {@link Tile}'s tokens, of one expert or group of experts after the other: a lane is
 * a token. The largest of each token can be found, be taken away, the next one be found, and so on.
 */
final class Columns {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  private final int experts;
  private final int capacity;
  private final double[] x_ET;
  private final double[] max_T;
  private final double[] best_T;

  Columns(int experts, int capacity) {
    this.experts = experts;
    this.capacity = capacity;
    x_ET = new double[experts * capacity];
    max_T = new double[capacity];
    best_T = new double[capacity];
  }

  /** The numbers: that of expert e and token t is at {@code e * capacity + t}. */
  double[] x_ET() {
    return x_ET;
  }

  /** The largest number of each token, once it is found. */
  double[] max_T() {
    return max_T;
  }

  /** Whose {@link #max_T} is, as a number that vectors can hold. */
  double[] best_T() {
    return best_T;
  }

  /** Whose {@link #max_T} is. */
  int best(int t) {
    return (int) best_T[t];
  }

  /**
   * Takes rows of numbers.
   *
   * @param from where the first of {@code tokens} rows begins
   * @param bias_E what is added to them; empty for nothing
   */
  void load(double[] x_TE, int from, int tokens, double[] bias_E) {
    Transposition.toColumns(x_ET, capacity, x_TE, from, tokens, experts);
    for (int e = 0; e < bias_E.length; e++) {
      for (int at = e * capacity; at < e * capacity + tokens; at++) {
        x_ET[at] += bias_E[e];
      }
    }
  }

  /**
   * Finds the largest number of each token, the first one on ties.
   *
   * @param lanes whole vectors of tokens
   */
  void findBest(int lanes) {
    loopBest(lanes);
  }

  private void loopBest(int lanes) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, x_ET, t);
      DoubleVector best = DoubleVector.zero(SPECIES);
      for (int e = 1; e < experts; e++) {
        DoubleVector x = DoubleVector.fromArray(SPECIES, x_ET, e * capacity + t);
        VectorMask<Double> more = x.compare(VectorOperators.GT, max);
        max = max.blend(x, more);
        best = best.blend((double) e, more);
      }
      max.intoArray(max_T, t);
      best.intoArray(best_T, t);
    }
  }

  /** Takes a number away: negative infinity stands in its place. */
  void remove(int t, int expert) {
    x_ET[expert * capacity + t] = Double.NEGATIVE_INFINITY;
  }
}
