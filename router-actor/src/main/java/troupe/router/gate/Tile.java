package troupe.router.gate;

import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.Exp;

/**
 * The logits of some tokens, expert by expert, and what gates make of them: a lane is a token. Rows
 * of eight experts are too short for vectors along them, and there the order of a sum would depend
 * on how wide vectors are. Here a token's sum is over experts in order, on any machine.
 *
 * <p>Scratch of one thread, for one tile after the other: {@link #load} or {@link #loadJittered},
 * {@link #findBest}, perhaps {@link #mask}, {@link #storeProbabilities}, perhaps {@link #race}, and
 * then the results.
 */
final class Tile {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();
  // A tile and its draws fit the first level cache for few experts, the second for a thousand. Not
  // fewer tokens than two of the widest vectors have lanes: Philox makes draws for so many.
  private static final int ELEMENTS = 512;
  private static final int MIN_TOKENS = 16;
  private static final int MAX_TOKENS = 64;
  // Up to one rival in so many, a list of them is faster than all.
  private static final int FEW = 5;

  private final int experts;
  private final int capacity;
  private final double[] x_ET;
  private final double[] weight_ET;
  private final double[] draw_ET;
  private final double[] max_T;
  private final double[] inverse_T;
  private final double[] best_T;
  private final double[] chosen_T;
  // Made with the first mask.
  private long[] word_WT;
  private int[] count_T;
  private Rivals rivals;
  private MaskRule mask;
  private boolean few;
  // Whether no logit is so far below its row's largest that its weight is no normal number.
  private boolean ordinary;
  private int firstToken;
  private int tokens;
  // Tokens up to the end of a vector.
  private int lanes;

  Tile(int experts) {
    this.experts = experts;
    int fitting = Integer.highestOneBit(Math.max(1, ELEMENTS / experts));
    capacity = Math.clamp(fitting, MIN_TOKENS, MAX_TOKENS);
    x_ET = new double[experts * capacity];
    weight_ET = new double[experts * capacity];
    draw_ET = new double[experts * capacity];
    max_T = new double[capacity];
    inverse_T = new double[capacity];
    best_T = new double[capacity];
    chosen_T = new double[capacity];
  }

  /** How many tokens fit. */
  int capacity() {
    return capacity;
  }

  /** Takes the logits of {@code tokens} rows from {@code firstToken} on, at most those that fit. */
  void load(double[] logits_TE, int firstToken, int tokens) {
    begin(firstToken, tokens);
    Transposition.toColumns(x_ET, capacity, logits_TE, firstToken * experts, tokens, experts);
  }

  /**
   * As {@link #load}, each logit times a factor u of the jitter.
   *
   * @param u_TE gets the factors
   * @param used_TE gets the products
   */
  void loadJittered(
      double[] logits_TE,
      int firstToken,
      int tokens,
      Jitter jitter,
      Draws draws,
      double[] u_TE,
      double[] used_TE) {
    begin(firstToken, tokens);
    draws.noises(firstToken, tokens, experts, draw_ET, capacity);
    for (int i = 0; i < draw_ET.length; i++) {
      draw_ET[i] = jitter.factor(draw_ET[i]);
    }
    Arrays.fill(inverse_T, 1);
    int from = firstToken * experts;
    Transposition.toRows(u_TE, from, draw_ET, capacity, inverse_T, tokens, experts);
    for (int i = from; i < from + tokens * experts; i++) {
      used_TE[i] = logits_TE[i] * u_TE[i];
    }
    Transposition.toColumns(x_ET, capacity, used_TE, from, tokens, experts);
  }

  private void begin(int firstToken, int tokens) {
    this.firstToken = firstToken;
    this.tokens = tokens;
    lanes = Math.ceilDiv(tokens, WIDTH) * WIDTH;
    mask = null;
    few = false;
    if (tokens < capacity) {
      // Lanes without a token compute what nobody reads, of numbers that are finite.
      Arrays.fill(x_ET, 0);
    }
  }

  /**
   * Finds the largest logit of each token, the first one on ties.
   *
   * @throws NonFiniteLogitsException for any NaN or infinity
   */
  void findBest() {
    if (!loopBest()) {
      throw nonFinite();
    }
  }

  private boolean loopBest() {
    // Zero in the lanes of tokens whose logits are all finite.
    DoubleVector poison = DoubleVector.zero(SPECIES);
    DoubleVector widest = DoubleVector.zero(SPECIES);
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, x_ET, t);
      DoubleVector min = max;
      DoubleVector best = DoubleVector.zero(SPECIES);
      poison = max.mul(0).add(poison);
      for (int e = 1; e < experts; e++) {
        DoubleVector x = DoubleVector.fromArray(SPECIES, x_ET, e * capacity + t);
        VectorMask<Double> more = x.compare(VectorOperators.GT, max);
        max = max.blend(x, more);
        best = best.blend((double) e, more);
        min = min.blend(x, x.compare(VectorOperators.LT, min));
        poison = x.mul(0).add(poison);
      }
      DoubleVector range = max.sub(min);
      widest = widest.blend(range, range.compare(VectorOperators.GT, widest));
      max.intoArray(max_T, t);
      best.intoArray(best_T, t);
    }
    ordinary = widest.compare(VectorOperators.LT, Exp.ORDINARY).allTrue();
    return poison.compare(VectorOperators.EQ, 0).allTrue();
  }

  private NonFiniteLogitsException nonFinite() {
    for (int t = 0; t < tokens; t++) {
      for (int e = 0; e < experts; e++) {
        double x = x_ET[e * capacity + t];
        if (!Double.isFinite(x)) {
          return new NonFiniteLogitsException(firstToken + t, e, x);
        }
      }
    }
    throw new IllegalStateException("logits are finite (expected: one that is not)");
  }

  /**
   * Keeps the experts that a rule keeps: others have no weight.
   *
   * @param kept gets which ones these are
   * @return whether there is a token with a choice, of more than one expert
   */
  boolean mask(MaskRule rule, Kept kept) {
    if (rivals == null) {
      word_WT = new long[Kept.words(experts) * capacity];
      count_T = new int[capacity];
      rivals = new Rivals(experts, capacity, experts * capacity / FEW);
    }
    mask = rule;
    Arrays.fill(count_T, 0);
    for (int w = 0; w < Kept.words(experts); w++) {
      int from = w * Kept.BITS;
      int count = Math.min(Kept.BITS, experts - from);
      rule.loopBits(x_ET, from * capacity, count, capacity, max_T, lanes, word_WT, w * capacity);
      count(kept, w);
    }
    int choices = 0;
    for (int t = 0; t < tokens; t++) {
      choices += count_T[t] > 1 ? count_T[t] : 0;
    }
    few = choices <= rivals.most();
    if (few) {
      rivals.list(word_WT, count_T);
    }
    return choices > 0;
  }

  private void count(Kept kept, int word) {
    for (int t = 0; t < tokens; t++) {
      long bits = word_WT[word * capacity + t];
      kept.keep(firstToken + t, word, bits);
      count_T[t] += Long.bitCount(bits);
    }
  }

  /**
   * Writes {@code p = weight / sum} to rows, {@code weight = exp(logit - max)}, zero where masked.
   *
   * @param p_TE holds zeros
   */
  void storeProbabilities(double[] p_TE) {
    int row = firstToken * experts;
    if (few) {
      for (int t = 0; t < tokens; t++) {
        p_TE[row + t * experts + (int) best_T[t]] = 1;
      }
      rivals.weigh(x_ET, capacity, max_T, p_TE, row, experts);
      return;
    }
    if (!ordinary) {
      weighOneByOne();
    } else if (mask == null) {
      loopWeigh();
    } else {
      loopWeighKept();
    }
    Transposition.toRows(p_TE, row, weight_ET, capacity, inverse_T, tokens, experts);
  }

  private void loopWeigh() {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, max_T, t);
      DoubleVector sum = DoubleVector.zero(SPECIES);
      for (int at = t; at < experts * capacity; at += capacity) {
        DoubleVector weight = Exp.ordinary(DoubleVector.fromArray(SPECIES, x_ET, at).sub(max));
        weight.intoArray(weight_ET, at);
        sum = sum.add(weight);
      }
      inverse(sum).intoArray(inverse_T, t);
    }
  }

  private void loopWeighKept() {
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
      inverse(sum).intoArray(inverse_T, t);
    }
  }

  private static DoubleVector inverse(DoubleVector x) {
    return DoubleVector.broadcast(SPECIES, 1).div(x);
  }

  private void weighOneByOne() {
    for (int t = 0; t < tokens; t++) {
      double sum = 0;
      for (int at = t; at < experts * capacity; at += capacity) {
        double weight =
            mask == null || mask.keeps(x_ET[at], max_T[t]) ? Exp.of(x_ET[at] - max_T[t]) : 0;
        weight_ET[at] = weight;
        sum += weight;
      }
      inverse_T[t] = 1 / sum;
    }
  }

  /**
   * Chooses an expert for each token by its weight: the first of exponential clocks that run at the
   * rates of the weights, {@code argmin e_i / w_i}. That is the Gumbel maximum {@code
   * argmax(logit_i - ln e_i)} without a logarithm.
   */
  void race(Draws draws, int round) {
    if (few) {
      System.arraycopy(best_T, 0, chosen_T, 0, tokens);
      rivals.race(draws, firstToken, round, chosen_T);
      return;
    }
    draws.exponentials(firstToken, tokens, experts, round, draw_ET, capacity);
    loopRace();
  }

  private void loopRace() {
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

  /** The expert with the largest logit, of token {@code firstToken + t}. */
  int best(int t) {
    return (int) best_T[t];
  }

  /** The expert that {@link #race} chose, of token {@code firstToken + t}. */
  int chosen(int t) {
    return (int) chosen_T[t];
  }
}
