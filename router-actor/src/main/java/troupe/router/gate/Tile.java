package troupe.router.gate;

import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.Exp;
import troupe.core.math.Log;

/**
 * The logits of some tokens, expert by expert, and what gates make of them: a lane is a token. Rows
 * of eight experts are too short for vectors along them, and there the order of a sum would depend
 * on how wide vectors are. Here a token's sum is over experts in order, on any machine.
 *
 * <p>Scratch of one thread, for one tile after the other: {@link #load} or {@link #loadJittered},
 * {@link #findBest}, perhaps {@link #mask}, one that stores, perhaps {@link #race}, and then the
 * results; for gates of several choices {@link #remove}, {@link #findNext} and so on.
 */
final class Tile {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
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
  private final Columns logits;
  private final double[] x_ET;
  private final double[] max_T;
  private final double[] best_T;
  private final double[] chosen_T;
  private final Weights weights;
  // Made with the first draws that no race needs.
  private double[] draw_ET;
  private final Rivals rivals;
  private final Eligible eligible;
  private boolean removed;
  private boolean masked;
  private boolean few;
  // Whether no logit is so far below its row's largest that its weight is no normal number.
  private boolean ordinary;
  private int firstToken;
  private int tokens;
  private int lanes;

  Tile(int experts) {
    this.experts = experts;
    int fitting = Integer.highestOneBit(Math.max(1, ELEMENTS / experts));
    capacity = Math.clamp(fitting, MIN_TOKENS, MAX_TOKENS);
    logits = new Columns(experts, capacity);
    x_ET = logits.x_ET();
    max_T = logits.max_T();
    best_T = logits.best_T();
    chosen_T = new double[capacity];
    weights = new Weights(experts, capacity);
    rivals = new Rivals(experts, capacity, experts * capacity / FEW);
    eligible = new Eligible(experts, capacity);
  }

  /** How many tokens fit. */
  int capacity() {
    return capacity;
  }

  /** How many of its lanes are in use: tokens up to the end of a vector. */
  int lanes() {
    return lanes;
  }

  /** Its logits. */
  Columns logits() {
    return logits;
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
    makeDraws();
    draws.noises(firstToken, tokens, experts, draw_ET, capacity);
    for (int i = 0; i < draw_ET.length; i++) {
      draw_ET[i] = jitter.factor(draw_ET[i]);
    }
    Arrays.fill(max_T, 1);
    int from = firstToken * experts;
    Transposition.toRows(u_TE, from, experts, draw_ET, capacity, max_T, tokens, experts);
    for (int i = from; i < from + tokens * experts; i++) {
      used_TE[i] = logits_TE[i] * u_TE[i];
    }
    Transposition.toColumns(x_ET, capacity, used_TE, from, tokens, experts);
  }

  private void makeDraws() {
    if (draw_ET == null) {
      draw_ET = new double[experts * capacity];
    }
  }

  private void begin(int firstToken, int tokens) {
    this.firstToken = firstToken;
    this.tokens = tokens;
    lanes = Math.ceilDiv(tokens, WIDTH) * WIDTH;
    if (removed) {
      eligible.reset();
    }
    removed = false;
    masked = false;
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

  /** Takes an expert away from token {@code firstToken + t}. */
  void remove(int t, int expert) {
    logits.remove(t, expert);
    eligible.remove(t, expert);
    removed = true;
  }

  /** {@link #findBest} of the experts that are left. */
  void findNext() {
    logits.findBest(lanes);
  }

  /**
   * Keeps the experts that a rule keeps: others have no weight.
   *
   * @param kept gets which ones these are; {@code null} if nobody wants to know
   * @return whether there is a token with a choice, of more than one expert
   */
  boolean mask(MaskRule rule, Kept kept) {
    int count = eligible.keep(rule, x_ET, max_T, tokens, lanes);
    if (kept != null) {
      eligible.store(kept, firstToken, tokens);
    }
    masked = true;
    few = count <= rivals.most();
    if (few) {
      rivals.list(eligible.kept_WT(), eligible.count_T());
    }
    return count > 0;
  }

  /**
   * Writes {@code p = weight * (1 / sum)} to rows, {@code weight = exp(logit - max)}, zero where
   * masked.
   *
   * @param p_TE holds zeros
   */
  void storeProbabilities(double[] p_TE) {
    int row = firstToken * experts;
    if (few) {
      storeSingles(p_TE, row, experts);
      rivals.weigh(x_ET, capacity, max_T);
      rivals.store(p_TE, row, experts);
      return;
    }
    weigh();
    weights.store(p_TE, row, experts);
  }

  private void weigh() {
    weights.weigh(x_ET, max_T, tokens, ordinary, masked ? eligible.kept_WT() : null);
  }

  /**
   * Writes {@code p = weight / sum} to rows and makes these the weights.
   *
   * @param p_TE holds zeros
   * @param row where that of the first token begins
   * @param stride from one row to the next
   */
  void storeQuotients(double[] p_TE, int row, int stride) {
    if (few) {
      storeSingles(p_TE, row, stride);
      rivals.weigh(x_ET, capacity, max_T);
      rivals.divide();
      rivals.store(p_TE, row, stride);
      return;
    }
    weigh();
    weights.divide();
    weights.store(p_TE, row, stride);
  }

  /** What holds where there is no choice; the rest is written over it. */
  private void storeSingles(double[] p_TE, int row, int stride) {
    for (int t = 0; t < tokens; t++) {
      p_TE[row + t * stride + best(t)] = 1;
    }
  }

  /**
   * Writes the softmax over all experts to rows, with the bits of {@link Rows#softmax}; before any
   * is masked or removed.
   */
  void storeSoftmax(double[] p_TE) {
    if (ordinary) {
      weigh();
      weights.sumByFours();
      weights.store(p_TE, firstToken * experts, experts);
    } else {
      for (int t = 0; t < tokens; t++) {
        int row = (firstToken + t) * experts;
        for (int e = 0; e < experts; e++) {
          p_TE[row + e] = x_ET[e * capacity + t];
        }
        Rows.softmax(p_TE, p_TE, max_T[t], row, row + experts);
      }
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
    } else {
      weights.race(draws, firstToken, round, chosen_T);
    }
  }

  /**
   * Finds the expert of the largest weight of each token, the first one on ties: where two logits
   * are so close that their weights are one, not always {@link #best}.
   *
   * @param likeliest_T gets it
   */
  void findLikeliest(double[] likeliest_T) {
    if (few) {
      System.arraycopy(best_T, 0, likeliest_T, 0, tokens);
      rivals.findLikeliest(likeliest_T);
    } else {
      weights.findLikeliest(likeliest_T);
    }
  }

  /**
   * Chooses the Gumbel maximum {@code argmax(logit_i - ln e_i)} of the experts that are left by
   * {@link #findNext}: whatever their logits are, for no weight is made of them.
   */
  void sampleLeft(Draws draws, int round) {
    makeDraws();
    draws.exponentials(firstToken, tokens, experts, round, draw_ET, capacity);
    for (int at = 0; at < experts * capacity; at += capacity) {
      Log.of(draw_ET, draw_ET, at, at + tokens);
    }
    loopSampleLeft();
  }

  private void loopSampleLeft() {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector highest = DoubleVector.broadcast(SPECIES, Double.NEGATIVE_INFINITY);
      DoubleVector chosen = DoubleVector.zero(SPECIES);
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        DoubleVector score =
            DoubleVector.fromArray(SPECIES, x_ET, at)
                .sub(DoubleVector.fromArray(SPECIES, draw_ET, at));
        VectorMask<Double> more = score.compare(VectorOperators.GT, highest);
        highest = highest.blend(score, more);
        chosen = chosen.blend((double) e, more);
      }
      chosen.intoArray(chosen_T, t);
    }
  }

  /** The expert with the largest logit, of token {@code firstToken + t}. */
  int best(int t) {
    return logits.best(t);
  }

  /** The expert that {@link #race} chose, of token {@code firstToken + t}. */
  int chosen(int t) {
    return (int) chosen_T[t];
  }
}
