package troupe.router.gate;

import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.Exp;

/**
 * The weights of all experts, of all tokens of a {@link Tile} or of those that have a choice: these
 * come closely packed, and others cost nothing.
 */
final class Weights {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  private final int experts;
  private final int capacity;
  private final double[] weight_ER;
  private final double[] sum_R;
  private final double[] factor_R;
  private final double[] max_R;
  private final long[] word_WR;
  private final int[] all_R;
  private Race race;
  private int[] token_R;
  private int count;
  // Those tokens up to the end of a vector.
  private int lanes;

  Weights(int experts, int capacity) {
    this.experts = experts;
    this.capacity = capacity;
    weight_ER = new double[Race.rows(experts) * capacity];
    sum_R = new double[capacity];
    factor_R = new double[capacity];
    max_R = new double[capacity];
    word_WR = new long[Kept.words(experts) * capacity];
    all_R = new int[capacity];
    Arrays.setAll(all_R, t -> t);
  }

  private void begin(int[] token_R, int count) {
    this.token_R = token_R;
    this.count = count;
    lanes = Math.ceilDiv(count, WIDTH) * WIDTH;
  }

  /**
   * {@code weight = exp(logit - max)} of all, and their sums in the order of experts.
   *
   * @param ordinary whether no weight is too small for a normal number
   */
  void weigh(double[] x_ET, double[] max_T, int tokens, boolean ordinary) {
    begin(all_R, tokens);
    if (ordinary) {
      loopWeigh(x_ET, max_T);
    } else {
      weighOneByOne(x_ET, max_T, null);
    }
  }

  /**
   * The same of tokens that have a choice, and of the experts that they have.
   *
   * @param tokens of the tile
   */
  void weighKept(double[] x_ET, double[] max_T, int tokens, Eligible eligible, boolean ordinary) {
    boolean packs = begin(eligible, tokens);
    if (packs) {
      pack(x_ET, eligible.kept_WT());
      for (int i = 0; i < count; i++) {
        max_R[i] = max_T[token_R[i]];
      }
    }
    double[] x_ER = packs ? weight_ER : x_ET;
    double[] largest_R = packs ? max_R : max_T;
    long[] bits_WR = packs ? word_WR : eligible.kept_WT();
    if (ordinary) {
      loopWeighKept(x_ER, largest_R, bits_WR);
    } else {
      weighOneByOne(x_ER, largest_R, bits_WR);
    }
  }

  /** The same of weights that are there. */
  void takeKept(Weights all, int tokens, Eligible eligible) {
    if (begin(eligible, tokens)) {
      pack(all.weight_ER, eligible.kept_WT());
      loopKeep(weight_ER, word_WR);
    } else {
      loopKeep(all.weight_ER, eligible.kept_WT());
    }
  }

  /** Returns whether tokens get packed: where most have a choice that is not worth it. */
  private boolean begin(Eligible eligible, int tokens) {
    boolean packs = 2 * eligible.choices() <= tokens;
    begin(packs ? eligible.token_R() : all_R, packs ? eligible.choices() : tokens);
    return packs;
  }

  private void pack(double[] x_ET, long[] word_WT) {
    for (int at = 0; at < experts * capacity; at += capacity) {
      for (int i = 0; i < count; i++) {
        weight_ER[at + i] = x_ET[at + token_R[i]];
      }
    }
    for (int at = 0; at < word_WR.length; at += capacity) {
      for (int i = 0; i < count; i++) {
        word_WR[at + i] = word_WT[at + token_R[i]];
      }
    }
  }

  private void loopWeigh(double[] x_ET, double[] max_T) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, max_T, t);
      DoubleVector sum = DoubleVector.zero(SPECIES);
      for (int at = t; at < experts * capacity; at += capacity) {
        DoubleVector weight = Exp.ordinary(DoubleVector.fromArray(SPECIES, x_ET, at).sub(max));
        weight.intoArray(weight_ER, at);
        sum = sum.add(weight);
      }
      store(sum, t);
    }
  }

  private void loopWeighKept(double[] x_ER, double[] max_R, long[] word_WR) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, max_R, t);
      DoubleVector sum = DoubleVector.zero(SPECIES);
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        DoubleVector weight = Exp.ordinary(DoubleVector.fromArray(SPECIES, x_ER, at).sub(max));
        weight = kept(weight, word_WR, e, t);
        weight.intoArray(weight_ER, at);
        sum = sum.add(weight);
      }
      store(sum, t);
    }
  }

  private void loopKeep(double[] from_ER, long[] word_WR) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector sum = DoubleVector.zero(SPECIES);
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        DoubleVector weight = kept(DoubleVector.fromArray(SPECIES, from_ER, at), word_WR, e, t);
        weight.intoArray(weight_ER, at);
        sum = sum.add(weight);
      }
      store(sum, t);
    }
  }

  private DoubleVector kept(DoubleVector weight, long[] word_WR, int e, int t) {
    LongVector bits = LongVector.fromArray(LONGS, word_WR, e / Kept.BITS * capacity + t);
    return DoubleVector.zero(SPECIES)
        .blend(weight, bits.and(1L << e).compare(VectorOperators.NE, 0).cast(SPECIES));
  }

  private void store(DoubleVector sum, int t) {
    sum.intoArray(sum_R, t);
    DoubleVector.broadcast(SPECIES, 1).div(sum).intoArray(factor_R, t);
  }

  private void weighOneByOne(double[] x_ER, double[] max_R, long[] word_WR) {
    for (int i = 0; i < count; i++) {
      double sum = 0;
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + i;
        boolean kept = word_WR == null || (word_WR[e / Kept.BITS * capacity + i] >>> e & 1) != 0;
        double weight = kept ? Exp.of(x_ER[at] - max_R[i]) : 0;
        weight_ER[at] = weight;
        sum += weight;
      }
      sum_R[i] = sum;
      factor_R[i] = 1 / sum;
    }
  }

  /**
   * {@code weight = exp(logit - max)} of all, and four sums of each token side by side, as {@link
   * Rows#softmax} has them. None may be too small for a normal number.
   */
  void weighByFours(double[] x_ET, double[] max_T, int tokens) {
    begin(all_R, tokens);
    loopWeighByFours(x_ET, max_T);
  }

  private void loopWeighByFours(double[] x_ET, double[] max_T) {
    int whole = (experts & -4) * capacity;
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, max_T, t);
      DoubleVector a = DoubleVector.zero(SPECIES);
      DoubleVector b = a;
      DoubleVector c = a;
      DoubleVector d = a;
      int at = t;
      for (; at < whole; at += capacity) {
        DoubleVector weight = Exp.ordinary(DoubleVector.fromArray(SPECIES, x_ET, at).sub(max));
        weight.intoArray(weight_ER, at);
        // The sums take turns: four steps in one are more than the compiler takes.
        DoubleVector next = a.add(weight);
        a = b;
        b = c;
        c = d;
        d = next;
      }
      DoubleVector sum = a.add(b).add(c.add(d));
      for (; at < experts * capacity; at += capacity) {
        DoubleVector weight = Exp.ordinary(DoubleVector.fromArray(SPECIES, x_ET, at).sub(max));
        weight.intoArray(weight_ER, at);
        sum = sum.add(weight);
      }
      store(sum, t);
    }
  }

  /** Takes a weight away; sums are what they were. */
  void remove(int t, int expert) {
    weight_ER[expert * capacity + t] = 0;
  }

  /** Sums the weights that are left. */
  void sum() {
    loopSum();
  }

  private void loopSum() {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector sum = DoubleVector.zero(SPECIES);
      for (int at = t; at < experts * capacity; at += capacity) {
        sum = sum.add(DoubleVector.fromArray(SPECIES, weight_ER, at));
      }
      store(sum, t);
    }
  }

  /** The weight of an expert. */
  double weight(int t, int expert) {
    return weight_ER[expert * capacity + t];
  }

  /** The weights, expert by expert. */
  double[] weight_ET() {
    return weight_ER;
  }

  /** {@code p = weight / sum} for these tokens. */
  void divide(double[] weight_T, double[] p_T) {
    if (token_R == all_R) {
      loopDivide(weight_T, p_T);
      return;
    }
    for (int i = 0; i < count; i++) {
      int t = token_R[i];
      p_T[t] = weight_T[t] / sum_R[i];
    }
  }

  private void loopDivide(double[] weight_T, double[] p_T) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector.fromArray(SPECIES, weight_T, t)
          .div(DoubleVector.fromArray(SPECIES, sum_R, t))
          .intoArray(p_T, t);
    }
  }

  /**
   * Writes {@code weight * (1 / sum)} to rows.
   *
   * @param row where that of the tile's first token begins
   */
  void store(double[] p_TE, int row) {
    if (token_R == all_R) {
      Transposition.toRows(p_TE, row, experts, weight_ER, capacity, factor_R, count, experts);
      return;
    }
    for (int i = 0; i < count; i++) {
      int to = row + token_R[i] * experts;
      for (int e = 0; e < experts; e++) {
        p_TE[to + e] = weight_ER[e * capacity + i] * factor_R[i];
      }
    }
  }

  /** {@link Tile#race} among all; {@code chosen_T} of other tokens stays as it is. */
  void race(Draws draws, int firstToken, int round, double[] chosen_T) {
    race = race == null ? new Race(experts, capacity) : race;
    race.run(draws, firstToken, token_R, count, round, weight_ER, factor_R, chosen_T);
  }
}
