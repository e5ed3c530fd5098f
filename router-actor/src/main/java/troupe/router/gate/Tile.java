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
 * {@link #findBest}, perhaps {@link #mask}, one that stores, perhaps {@link #race}, and then the
 * results. Gates of several choices {@link #remove} the first, {@link #findNext}, and so on: what
 * {@link #storeSoftmax} made is then used again.
 */
final class Tile {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();
  // A tile and its draws fit the second level cache: a tenth less time than one for the first, for
  // much is done once a tile. Not fewer tokens than two of the widest vectors have lanes: Philox
  // makes draws for so many.
  private static final int ELEMENTS = 2048;
  private static final int MIN_TOKENS = 16;
  private static final int MAX_TOKENS = 256;
  // Logits closer than that to the largest have weights, and products of weights and of shares of
  // them, that are normal numbers.
  private static final double WIDE = Exp.ORDINARY - 100;
  // Where so many times the rivals are fewer than all experts of the tokens that have a choice, a
  // list of rivals is faster than all of these.
  private static final int FEW = 7;

  private final int experts;
  private final int capacity;
  private final Columns logits;
  private final double[] x_ET;
  private final double[] max_T;
  private final double[] best_T;
  private final double[] chosen_T;
  private final double[] weight_T;
  private final Weights weights;
  // Those of tokens that have a choice, where there is a mask.
  private Weights choices;
  private Rivals rivals;
  private final Eligible eligible;
  private boolean removed;
  private boolean masked;
  private boolean few;
  // Whether there are weights of all experts.
  private boolean weighed;
  // Whether no logit is so far below its row's largest that its weight is no normal number.
  private boolean ordinary;
  private int firstToken;
  private int tokens;
  private int lanes;

  /**
   * A tile of as many tokens as are fast.
   *
   * @param tokens how many there are in all
   */
  Tile(int experts, int tokens) {
    this.experts = experts;
    int fitting = Math.min(Integer.highestOneBit(Math.max(1, ELEMENTS / experts)), MAX_TOKENS);
    int needed = Integer.highestOneBit(Math.clamp(2L * tokens - 1, 1, MAX_TOKENS));
    capacity = Math.max(MIN_TOKENS, Math.min(fitting, needed));
    logits = new Columns(experts, capacity);
    x_ET = logits.x_ET();
    max_T = logits.max_T();
    best_T = logits.best_T();
    chosen_T = new double[capacity];
    weight_T = new double[capacity];
    weights = new Weights(experts, capacity);
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
    draws.noises(firstToken, tokens, experts, x_ET, capacity);
    for (int i = 0; i < x_ET.length; i++) {
      x_ET[i] = jitter.factor(x_ET[i]);
    }
    Arrays.fill(max_T, 1);
    int from = firstToken * experts;
    Transposition.toRows(u_TE, from, experts, x_ET, capacity, max_T, tokens, experts);
    for (int i = from; i < from + tokens * experts; i++) {
      used_TE[i] = logits_TE[i] * u_TE[i];
    }
    Transposition.toColumns(x_ET, capacity, used_TE, from, tokens, experts);
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
    weighed = false;
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
    ordinary = widest.compare(VectorOperators.LT, WIDE).allTrue();
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
    weights.remove(t, expert);
    removed = true;
  }

  /** {@link #findBest} of the experts that are left. */
  void findNext() {
    logits.findBest(lanes);
  }

  /**
   * Keeps the experts that a rule keeps: others have no weight. One rule is needless to ask: {@link
   * MaskRule#NONE}.
   *
   * @return whether there is a token with a choice, of more than one expert
   */
  boolean mask(MaskRule rule) {
    int count = eligible.keep(rule, x_ET, max_T, tokens, lanes);
    masked = true;
    few = FEW * count < experts * eligible.choices();
    choices = choices == null ? new Weights(experts, capacity) : choices;
    if (few) {
      rivals = rivals == null ? new Rivals(experts, capacity, experts * capacity / FEW) : rivals;
      rivals.list(eligible.kept_WT(), eligible.count_T());
    }
    return count > 0;
  }

  /**
   * Tells which tokens have a choice: {@code first + t * stride} for token t.
   *
   * @param at where in {@code out} the first of them goes
   * @return where the next one would go
   */
  int storeChoices(int[] out, int at, int first, int stride) {
    for (int i = 0; i < eligible.choices(); i++) {
      out[at + i] = first + eligible.token_R()[i] * stride;
    }
    return at + eligible.choices();
  }

  /** Tells which experts are kept: those of token t to {@code first + t * stride}. */
  void storeKept(Kept kept, int first, int stride) {
    eligible.store(kept, first, stride, tokens);
  }

  /**
   * Makes the weights that {@link #race} goes by, {@code exp(logit - max)} of what is left and
   * kept. Those of {@link #storeSoftmax} are taken if they are there, with the max of all.
   */
  void weigh() {
    if (few && weighed) {
      rivals.take(weights.weight_ET(), capacity);
    } else if (few) {
      rivals.weigh(x_ET, capacity, max_T);
    } else if (masked && weighed) {
      choices.takeKept(weights, tokens, eligible);
    } else if (masked) {
      choices.weighKept(x_ET, max_T, tokens, eligible, ordinary);
    } else if (weighed && removed) {
      weights.sum();
    } else if (!weighed) {
      weights.weigh(x_ET, max_T, tokens, ordinary && !removed);
    }
  }

  /**
   * Makes weights and writes {@code p = weight * (1 / sum)} to rows, zero where masked.
   *
   * @param p_TE holds zeros
   */
  void storeProbabilities(double[] p_TE) {
    int row = firstToken * experts;
    weigh();
    if (masked) {
      for (int t = 0; t < tokens; t++) {
        // What holds where there is no choice; the rest is written over it.
        p_TE[row + t * experts + best(t)] = 1;
      }
    }
    if (few) {
      rivals.store(p_TE, row, experts);
    } else {
      (masked ? choices : weights).store(p_TE, row);
    }
  }

  /**
   * Writes the softmax over all experts to rows, with the bits of {@link Rows#softmax}; before any
   * is masked or removed.
   *
   * @return whether none of them underflows
   */
  boolean storeSoftmax(double[] p_TE) {
    if (ordinary) {
      weights.weighByFours(x_ET, max_T, tokens);
      weights.store(p_TE, firstToken * experts);
      weighed = true;
    } else {
      for (int t = 0; t < tokens; t++) {
        int row = (firstToken + t) * experts;
        for (int e = 0; e < experts; e++) {
          p_TE[row + e] = x_ET[e * capacity + t];
        }
        Rows.softmax(p_TE, p_TE, max_T[t], row, row + experts);
      }
    }
    return ordinary;
  }

  /**
   * Chooses an expert for each token by its weight: the first of exponential clocks that run at the
   * rates of the weights, {@code argmin e_i / w_i}. That is the Gumbel maximum {@code
   * argmax(logit_i - ln e_i)} without a logarithm.
   */
  void race(Draws draws, int round) {
    System.arraycopy(best_T, 0, chosen_T, 0, tokens);
    if (few) {
      rivals.race(draws, firstToken, round, chosen_T);
    } else {
      (masked ? choices : weights).race(draws, firstToken, round, chosen_T);
    }
  }

  /**
   * Tells how likely the chosen experts were, among what was left and kept.
   *
   * @param sampled whether those that {@link #race} chose, or else the best
   * @param p_T gets their probabilities
   * @param other_R gets the tokens whose choice is not the best
   * @return how many these are
   */
  int storeChosen(boolean sampled, double[] p_T, int[] other_R) {
    if (!sampled) {
      System.arraycopy(best_T, 0, chosen_T, 0, tokens);
    }
    int others = 0;
    for (int t = 0; t < tokens; t++) {
      int chosen = chosen(t);
      weight_T[t] = weight(t, chosen);
      other_R[others] = t;
      // Without a branch: nobody can predict it.
      others += -Math.abs(chosen - best(t)) >>> 31;
    }
    Arrays.fill(p_T, 0, tokens, 1);
    if (few) {
      rivals.divide(weight_T, p_T);
    } else {
      (masked ? choices : weights).divide(weight_T, p_T);
    }
    return others;
  }

  /** {@link #remove} of the chosen experts, and {@link #findNext}. */
  void removeChosen() {
    for (int t = 0; t < tokens; t++) {
      remove(t, chosen(t));
    }
    findNext();
  }

  private double weight(int t, int expert) {
    return weighed ? weights.weight(t, expert) : Exp.of(x_ET[expert * capacity + t] - max_T[t]);
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
