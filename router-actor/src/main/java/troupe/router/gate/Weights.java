package troupe.router.gate;

import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.Exp;

/** The weights of all experts of a {@link Tile}'s tokens, and what is made of them. */
final class Weights {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  private final int experts;
  private final int capacity;
  private final double[] weight_ET;
  private final double[] draw_ET;
  private final double[] sum_T;
  private final double[] factor_T;
  private int tokens;
  // Tokens up to the end of a vector.
  private int lanes;

  Weights(int experts, int capacity) {
    this.experts = experts;
    this.capacity = capacity;
    weight_ET = new double[experts * capacity];
    draw_ET = new double[experts * capacity];
    sum_T = new double[capacity];
    factor_T = new double[capacity];
  }

  /**
   * {@code weight = exp(logit - max)}, and their sums in the order of experts.
   *
   * @param ordinary whether no weight is too small for a normal number
   * @param word_WT bits of the experts that have a weight, {@code null} if all have
   */
  void weigh(double[] x_ET, double[] max_T, int tokens, boolean ordinary, long[] word_WT) {
    this.tokens = tokens;
    lanes = Math.ceilDiv(tokens, WIDTH) * WIDTH;
    if (!ordinary) {
      weighOneByOne(x_ET, max_T, word_WT);
    } else if (word_WT == null) {
      loopWeigh(x_ET, max_T);
    } else {
      loopWeighKept(x_ET, max_T, word_WT);
    }
  }

  private void loopWeigh(double[] x_ET, double[] max_T) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, max_T, t);
      DoubleVector sum = DoubleVector.zero(SPECIES);
      for (int at = t; at < experts * capacity; at += capacity) {
        DoubleVector weight = Exp.ordinary(DoubleVector.fromArray(SPECIES, x_ET, at).sub(max));
        weight.intoArray(weight_ET, at);
        sum = sum.add(weight);
      }
      store(sum, t);
    }
  }

  private void loopWeighKept(double[] x_ET, double[] max_T, long[] word_WT) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, max_T, t);
      DoubleVector sum = DoubleVector.zero(SPECIES);
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        LongVector bits = LongVector.fromArray(LONGS, word_WT, e / Kept.BITS * capacity + t);
        VectorMask<Double> kept = bits.and(1L << e).compare(VectorOperators.NE, 0).cast(SPECIES);
        DoubleVector weight = Exp.ordinary(DoubleVector.fromArray(SPECIES, x_ET, at).sub(max));
        weight = DoubleVector.zero(SPECIES).blend(weight, kept);
        weight.intoArray(weight_ET, at);
        sum = sum.add(weight);
      }
      store(sum, t);
    }
  }

  private void store(DoubleVector sum, int t) {
    sum.intoArray(sum_T, t);
    DoubleVector.broadcast(SPECIES, 1).div(sum).intoArray(factor_T, t);
  }

  private void weighOneByOne(double[] x_ET, double[] max_T, long[] word_WT) {
    for (int t = 0; t < tokens; t++) {
      double sum = 0;
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        boolean kept = word_WT == null || (word_WT[e / Kept.BITS * capacity + t] >>> e & 1) != 0;
        double weight = kept ? Exp.of(x_ET[at] - max_T[t]) : 0;
        weight_ET[at] = weight;
        sum += weight;
      }
      sum_T[t] = sum;
      factor_T[t] = 1 / sum;
    }
  }

  /** Sums weights anew, four sums side by side, as {@link Rows#softmax} does. */
  void sumByFours() {
    loopSumByFours();
  }

  private void loopSumByFours() {
    int whole = (experts & -4) * capacity;
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector a = DoubleVector.zero(SPECIES);
      DoubleVector b = DoubleVector.zero(SPECIES);
      DoubleVector c = DoubleVector.zero(SPECIES);
      DoubleVector d = DoubleVector.zero(SPECIES);
      int at = t;
      for (; at < whole; at += 4 * capacity) {
        a = a.add(DoubleVector.fromArray(SPECIES, weight_ET, at));
        b = b.add(DoubleVector.fromArray(SPECIES, weight_ET, at + capacity));
        c = c.add(DoubleVector.fromArray(SPECIES, weight_ET, at + 2 * capacity));
        d = d.add(DoubleVector.fromArray(SPECIES, weight_ET, at + 3 * capacity));
      }
      DoubleVector sum = a.add(b).add(c.add(d));
      for (; at < experts * capacity; at += capacity) {
        sum = sum.add(DoubleVector.fromArray(SPECIES, weight_ET, at));
      }
      store(sum, t);
    }
  }

  /** Makes weights sum to one, by division. */
  void divide() {
    loopDivide();
    Arrays.fill(factor_T, 1);
  }

  private void loopDivide() {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector sum = DoubleVector.fromArray(SPECIES, sum_T, t);
      for (int at = t; at < experts * capacity; at += capacity) {
        DoubleVector.fromArray(SPECIES, weight_ET, at).div(sum).intoArray(weight_ET, at);
      }
    }
  }

  /**
   * Writes {@code weight * (1 / sum)} to rows.
   *
   * @param row where the first token's begins
   * @param stride from one row to the next
   */
  void store(double[] p_TE, int row, int stride) {
    Transposition.toRows(p_TE, row, stride, weight_ET, capacity, factor_T, tokens, experts);
  }

  /** {@link Tile#race} among all. */
  void race(Draws draws, int firstToken, int round, double[] chosen_T) {
    draws.exponentials(firstToken, tokens, experts, round, draw_ET, capacity);
    loopRace(chosen_T);
  }

  private void loopRace(double[] chosen_T) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector weight = DoubleVector.zero(SPECIES);
      DoubleVector draw = DoubleVector.broadcast(SPECIES, 1);
      DoubleVector chosen = DoubleVector.zero(SPECIES);
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        DoubleVector w = DoubleVector.fromArray(SPECIES, weight_ET, at);
        DoubleVector d = DoubleVector.fromArray(SPECIES, draw_ET, at);
        // d / w < draw / weight, without a division.
        VectorMask<Double> sooner = w.mul(draw).compare(VectorOperators.GT, weight.mul(d));
        weight = weight.blend(w, sooner);
        draw = draw.blend(d, sooner);
        chosen = chosen.blend((double) e, sooner);
      }
      chosen.intoArray(chosen_T, t);
    }
  }

  /** {@link Tile#findLikeliest} among all. */
  void findLikeliest(double[] likeliest_T) {
    loopLikeliest(likeliest_T);
  }

  private void loopLikeliest(double[] likeliest_T) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector most = DoubleVector.fromArray(SPECIES, weight_ET, t);
      DoubleVector likeliest = DoubleVector.zero(SPECIES);
      for (int e = 1; e < experts; e++) {
        DoubleVector weight = DoubleVector.fromArray(SPECIES, weight_ET, e * capacity + t);
        VectorMask<Double> more = weight.compare(VectorOperators.GT, most);
        most = most.blend(weight, more);
        likeliest = likeliest.blend((double) e, more);
      }
      likeliest.intoArray(likeliest_T, t);
    }
  }
}
