package troupe.router.gate;

import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
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
 * {@link #findBest}, perhaps {@link #mask}, {@link #weigh}, perhaps {@link #race}, and then the
 * results.
 */
final class Tile {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();
  // A tile and its draws fit the first level cache for few experts, the second for a thousand. Not
  // fewer tokens than two of the widest vectors have lanes: Philox makes draws for so many.
  private static final int ELEMENTS = 512;
  private static final int MIN_TOKENS = 16;
  private static final int MAX_TOKENS = 64;
  // A draw by itself takes as long as so many of many.
  private static final int ONE_BY_ONE = 8;
  // Experts of a token that are moved between rows and columns at once: a line of the cache.
  private static final int BLOCK = 8;

  private final int experts;
  private final int capacity;
  private final double[] x_ET;
  private final double[] weight_ET;
  private final double[] draw_ET;
  private final double[] max_T;
  private final double[] inverse_T;
  private final double[] best_T;
  private final double[] chosen_T;
  // One or zero; made with the first mask.
  private double[] kept_ET;
  // How many are kept.
  private double[] count_T;
  // How many are kept of the tokens that have more than one.
  private int rivals;
  private boolean masked;
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
    int whole = experts & -BLOCK;
    for (int t = 0; t < tokens; t++) {
      int row = (firstToken + t) * experts;
      for (int e = 0; e < whole; e += BLOCK) {
        for (int i = 0; i < BLOCK; i++) {
          x_ET[(e + i) * capacity + t] = logits_TE[row + e + i];
        }
      }
      for (int e = whole; e < experts; e++) {
        x_ET[e * capacity + t] = logits_TE[row + e];
      }
    }
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
    for (int t = 0; t < tokens; t++) {
      int row = (firstToken + t) * experts;
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        double u = jitter.factor(draw_ET[at]);
        double x = logits_TE[row + e] * u;
        u_TE[row + e] = u;
        used_TE[row + e] = x;
        x_ET[at] = x;
      }
    }
  }

  private void begin(int firstToken, int tokens) {
    this.firstToken = firstToken;
    this.tokens = tokens;
    lanes = Math.ceilDiv(tokens, WIDTH) * WIDTH;
    masked = false;
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
   * @return whether there is a token with a choice, of more than one expert
   */
  boolean mask(MaskRule rule) {
    masked = true;
    if (kept_ET == null) {
      kept_ET = new double[experts * capacity];
      count_T = new double[capacity];
    }
    loopMask(rule);
    rivals = 0;
    for (int t = 0; t < tokens; t++) {
      rivals += count_T[t] > 1 ? (int) count_T[t] : 0;
    }
    return rivals > 0;
  }

  private void loopMask(MaskRule rule) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector max = DoubleVector.fromArray(SPECIES, max_T, t);
      DoubleVector count = DoubleVector.zero(SPECIES);
      for (int at = t; at < experts * capacity; at += capacity) {
        DoubleVector kept =
            DoubleVector.zero(SPECIES)
                .blend(1.0, rule.keeps(DoubleVector.fromArray(SPECIES, x_ET, at), max));
        kept.intoArray(kept_ET, at);
        count = count.add(kept);
      }
      count.intoArray(count_T, t);
    }
  }

  /** {@code weight = exp(logit - max)}, zero where masked, and one over their sum. */
  void weigh() {
    if (ordinary) {
      if (masked) {
        loopWeighKept();
      } else {
        loopWeigh();
      }
    } else {
      weighOneByOne();
    }
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
      for (int at = t; at < experts * capacity; at += capacity) {
        DoubleVector weight =
            Exp.ordinary(DoubleVector.fromArray(SPECIES, x_ET, at).sub(max))
                .mul(DoubleVector.fromArray(SPECIES, kept_ET, at));
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
        double weight = masked && kept_ET[at] == 0 ? 0 : Exp.of(x_ET[at] - max_T[t]);
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
    if (masked && rivals * ONE_BY_ONE < tokens * experts) {
      raceOneByOne(draws, round);
      return;
    }
    draws.exponentials(firstToken, tokens, experts, round, draw_ET, capacity);
    loopRace();
  }

  /** {@link #race} with the draws of the few that have a choice: making all takes longer. */
  private void raceOneByOne(Draws draws, int round) {
    for (int t = 0; t < tokens; t++) {
      chosen_T[t] = best_T[t];
      if (count_T[t] == 1) {
        continue;
      }
      double weight = 0;
      double draw = 1;
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        if (kept_ET[at] == 0) {
          continue;
        }
        double d = draws.exponential(firstToken + t, e, round);
        if (weight_ET[at] * draw > weight * d) {
          weight = weight_ET[at];
          draw = d;
          chosen_T[t] = e;
        }
      }
    }
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

  /** Writes {@code p = weight / sum} to rows. */
  void storeProbabilities(double[] p_TE) {
    int whole = experts & -BLOCK;
    for (int t = 0; t < tokens; t++) {
      int row = (firstToken + t) * experts;
      double inverse = inverse_T[t];
      for (int e = 0; e < whole; e += BLOCK) {
        for (int i = 0; i < BLOCK; i++) {
          p_TE[row + e + i] = weight_ET[(e + i) * capacity + t] * inverse;
        }
      }
      for (int e = whole; e < experts; e++) {
        p_TE[row + e] = weight_ET[e * capacity + t] * inverse;
      }
    }
  }

  /** Writes to rows which experts {@link #mask} kept. */
  void storeKept(boolean[] kept_TE) {
    for (int t = 0; t < tokens; t++) {
      int row = (firstToken + t) * experts;
      for (int e = 0; e < experts; e++) {
        kept_TE[row + e] = kept_ET[e * capacity + t] != 0;
      }
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
