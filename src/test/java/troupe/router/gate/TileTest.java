package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.math.Exp;
import troupe.core.math.Log;

/** A tile against one token after the other, bit for bit. */
class TileTest {
  private static final long SEED = 20231018;
  private static final int MANY = 1_000_000;
  // Of a share of one by a few roundings.
  private static final double ROUNDINGS = 1e-14;

  private static double[] logits(int count, double width) {
    Random random = new Random(SEED);
    double[] logits = new double[count];
    for (int i = 0; i < count; i++) {
      // Whole numbers among them, for ties.
      logits[i] = random.nextInt(3) == 0 ? random.nextInt(-2, 3) : random.nextGaussian() * width;
    }
    return logits;
  }

  /** Rules that keep few, some, nearly all and all. */
  private static final MaskRule[] RULES = {
    MaskRule.code(0.1), MaskRule.paper(0.3), MaskRule.code(0.9), MaskRule.NONE
  };

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 7, 8, 12, 17, 64, 65, 200})
  void shouldComputeEachTokenAsIfAlone(int experts) {
    int capacity = new Tile(experts, MANY).capacity();
    for (double width : new double[] {1, 30, 500, 1e300}) {
      for (MaskRule rule : RULES) {
        for (int tokens : new int[] {1, 6, 2 * capacity + 5}) {
          compare(tokens, experts, width, rule);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 33})
  void shouldChooseTheBestOfTokensThatHaveOneExpert(int experts) {
    Tile tile = new Tile(experts, MANY);
    double[] logits_TE = new Random(SEED).doubles(tile.capacity() * experts).toArray();
    double[] p_TE = new double[logits_TE.length];
    tile.load(logits_TE, 0, tile.capacity());
    tile.findBest();
    assertFalse(tile.mask((logit, max) -> logit == max));
    tile.storeProbabilities(p_TE);
    tile.race(null, 0);
    for (int t = 0; t < tile.capacity(); t++) {
      assertEquals(tile.best(t), tile.chosen(t));
      assertEquals(1, p_TE[t * experts + tile.best(t)]);
    }
  }

  private static void compare(int tokens, int experts, double width, MaskRule rule) {
    Tile tile = new Tile(experts, MANY);
    double[] logits_TE = logits(tokens * experts, width);
    Draws draws = new CounterDraws(SEED, 1, 0, 0);
    double[] p_TE = new double[tokens * experts];
    Kept kept_TE = new Kept(tokens, experts);
    for (int from = 0; from < tokens; from += tile.capacity()) {
      int count = Math.min(tile.capacity(), tokens - from);
      tile.load(logits_TE, from, count);
      tile.findBest();
      boolean choice = tile.mask(rule);
      tile.storeKept(kept_TE, from, 1);
      tile.storeProbabilities(p_TE);
      tile.race(draws, 0);
      int most = 0;
      for (int t = from; t < from + count; t++) {
        String what = experts + " experts, width " + width + ", " + rule + ", token " + t;
        int row = t * experts;
        int best = Rows.argmaxFinite(logits_TE, row, row + experts) - row;
        assertEquals(best, tile.best(t - from), what);
        most = Math.max(most, checkRow(what, t, best, experts, logits_TE, p_TE, kept_TE, rule));
        assertEquals(
            winner(t, best, experts, logits_TE, kept_TE, draws), tile.chosen(t - from), what);
      }
      assertEquals(most > 1, choice);
    }
  }

  private static int checkRow(
      String what,
      int token,
      int best,
      int experts,
      double[] logits_TE,
      double[] p_TE,
      Kept kept_TE,
      MaskRule rule) {
    int row = token * experts;
    double max = logits_TE[row + best];
    double[] weight = new double[experts];
    double sum = 0;
    int kept = 0;
    for (int e = 0; e < experts; e++) {
      boolean keeps = rule.keeps(logits_TE[row + e], max);
      assertEquals(keeps, kept_TE.has(token, e), what);
      weight[e] = keeps ? Exp.of(logits_TE[row + e] - max) : 0;
      sum += weight[e];
      kept += keeps ? 1 : 0;
    }
    for (int e = 0; e < experts; e++) {
      assertEquals(weight[e] * (1 / sum), p_TE[row + e], what);
    }
    return kept;
  }

  /** The Gumbel maximum. */
  private static int winner(
      int token, int best, int experts, double[] logits_TE, Kept kept_TE, Draws draws) {
    int winner = best;
    double highest = Double.NEGATIVE_INFINITY;
    for (int e = 0; e < experts; e++) {
      int i = token * experts + e;
      double score = logits_TE[i] - Math.log(draws.exponential(token, e, 0));
      if (kept_TE.has(token, e) && score > highest) {
        winner = e;
        highest = score;
      }
    }
    return winner;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 7, 8, 13, 64})
  void shouldStoreTheSoftmaxThatRowsHave(int experts) {
    for (double width : new double[] {1, 500, 1e4}) {
      Tile tile = new Tile(experts, MANY);
      for (int tokens : new int[] {1, tile.capacity() - 3, tile.capacity()}) {
        double[] logits_TE = logits(tokens * experts, width);
        double[] p_TE = new double[logits_TE.length];
        double[] expected_TE = new double[logits_TE.length];
        tile.load(logits_TE, 0, tokens);
        tile.findBest();
        tile.storeSoftmax(p_TE);
        for (int from = 0; from < logits_TE.length; from += experts) {
          double max = logits_TE[Rows.argmaxFinite(logits_TE, from, from + experts)];
          Rows.softmax(expected_TE, logits_TE, max, from, from + experts);
        }
        assertArrayEquals(expected_TE, p_TE);
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 5, 8, 16, 65, 130})
  void shouldChooseAgainAmongThoseThatAreLeft(int experts) {
    for (double width : new double[] {1, 1e-16, 1e4}) {
      for (MaskRule rule : RULES) {
        for (boolean softmax : new boolean[] {false, true}) {
          Tile tile = new Tile(experts, MANY);
          int tokens = tile.capacity() - 1;
          double[] logits_TE = logits(tokens * experts, width);
          tile.load(logits_TE, 0, tokens);
          tile.findBest();
          if (softmax) {
            tile.storeSoftmax(new double[logits_TE.length]);
          }
          for (int round = 0; round < Math.min(3, experts); round++) {
            if (round > 0) {
              tile.removeChosen();
            }
            checkRound(tile, rule, round, logits_TE, tokens, experts);
          }
        }
      }
    }
  }

  /** One round of the tile and of each token; the chosen experts are removed from the latter. */
  private static void checkRound(
      Tile tile, MaskRule rule, int round, double[] logits_TE, int tokens, int experts) {
    Draws draws = new CounterDraws(SEED, 1, 0, 0);
    double[] p_T = new double[tile.capacity()];
    int[] other_R = new int[tile.capacity()];
    tile.mask(rule);
    tile.weigh();
    tile.race(draws, round);
    int others = tile.storeChosen(true, p_T, other_R);
    int next = 0;
    for (int t = 0; t < tokens; t++) {
      double[] logits = Arrays.copyOfRange(logits_TE, t * experts, (t + 1) * experts);
      double max = Arrays.stream(logits).max().orElseThrow();
      double[] weight = new double[experts];
      double sum = 0;
      int kept = 0;
      for (int e = 0; e < experts; e++) {
        boolean left = logits[e] > Double.NEGATIVE_INFINITY && rule.keeps(logits[e], max);
        weight[e] = left ? Exp.of(logits[e] - max) : 0;
        sum += weight[e];
        kept += left ? 1 : 0;
      }
      int chosen = -1;
      double draw = 0;
      for (int e = 0; e < experts; e++) {
        double d = draws.exponential(t, e, round);
        if (weight[e] > 0 && (chosen < 0 || weight[e] * draw > weight[chosen] * d)) {
          chosen = e;
          draw = d;
        }
      }
      assertEquals(chosen, tile.chosen(t));
      assertEquals(max, logits[tile.best(t)]);
      assertEquals(weight[chosen] / sum, p_T[t], kept == 1 ? 0 : ROUNDINGS);
      if (chosen != tile.best(t)) {
        assertEquals(t, other_R[next++]);
      }
      logits_TE[t * experts + chosen] = Double.NEGATIVE_INFINITY;
    }
    assertEquals(next, others);
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 3, 8, 40})
  void shouldSampleFromThoseThatAreLeft(int experts) {
    for (double width : new double[] {1, 1e4}) {
      Tile tile = new Tile(experts, MANY);
      int tokens = tile.capacity() - 2;
      double[] logits_TE = logits(tokens * experts, width);
      Draws draws = new CounterDraws(SEED, 1, 0, 0);
      tile.load(logits_TE, 0, tokens);
      tile.findBest();
      tile.storeSoftmax(new double[logits_TE.length]);
      int[] removed_T = IntStream.range(0, tokens).map(tile::best).toArray();
      for (int t = 0; t < tokens; t++) {
        tile.remove(t, removed_T[t]);
      }
      tile.findNext();
      tile.weigh();
      tile.race(draws, 0);
      for (int t = 0; t < tokens; t++) {
        int winner = -1;
        double highest = Double.NEGATIVE_INFINITY;
        for (int e = 0; e < experts; e++) {
          double score = logits_TE[t * experts + e] - Log.of(draws.exponential(t, e, 0));
          if (e != removed_T[t] && score > highest) {
            winner = e;
            highest = score;
          }
        }
        assertEquals(winner, tile.chosen(t));
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {3, 8, 40})
  void shouldNameTheFirstLogitThatIsNotFinite(int experts) {
    Tile tile = new Tile(experts, MANY);
    double[] logits_TE = logits(tile.capacity() * experts, 1);
    logits_TE[5 * experts + 2] = Double.NaN;
    logits_TE[9 * experts] = Double.NEGATIVE_INFINITY;
    tile.load(logits_TE, 0, tile.capacity());
    NonFiniteLogitsException e = assertThrows(NonFiniteLogitsException.class, tile::findBest);
    assertEquals(5, e.token());
    assertTrue(e.getMessage().contains("expert 2"), e.getMessage());
  }

  @ParameterizedTest
  @ValueSource(ints = {2, 8, 21})
  void shouldJitterEachLogitByItsOwnNoise(int experts) {
    Tile tile = new Tile(experts, MANY);
    int tokens = tile.capacity() - 3;
    double[] logits_TE = logits(tokens * experts, 1);
    double[] u_TE = new double[tokens * experts];
    double[] used_TE = new double[tokens * experts];
    Jitter jitter = new Jitter(0.2);
    CounterDraws draws = new CounterDraws(SEED, 1, 0, 0);
    tile.loadJittered(logits_TE, 0, tokens, jitter, draws, u_TE, used_TE);
    tile.findBest();
    for (int t = 0; t < tokens; t++) {
      for (int e = 0; e < experts; e++) {
        int i = t * experts + e;
        assertEquals(jitter.factor(draws.noise(t, e)), u_TE[i]);
        assertEquals(logits_TE[i] * u_TE[i], used_TE[i]);
      }
      int row = t * experts;
      assertEquals(Rows.argmaxFinite(used_TE, row, row + experts) - row, tile.best(t));
    }
  }
}
