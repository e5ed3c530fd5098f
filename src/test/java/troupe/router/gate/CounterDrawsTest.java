package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.HashSet;
import java.util.Random;
import java.util.Set;
import java.util.function.IntToDoubleFunction;
import org.junit.jupiter.api.Test;
import troupe.core.random.Philox;

class CounterDrawsTest {
  private static final long SEED = 0x1234_5678_9abc_def0L;
  private static final int SAMPLES = 100_000;

  /** Five standard errors of a mean over the samples, for a deviation of one. */
  private static final double FIVE_SIGMA = 5 / Math.sqrt(SAMPLES);

  private static CounterDraws draws() {
    return new CounterDraws(SEED, 3, 2, 0);
  }

  private static double mean(IntToDoubleFunction draw) {
    double sum = 0;
    for (int t = 0; t < SAMPLES; t++) {
      sum += draw.applyAsDouble(t);
    }
    return sum / SAMPLES;
  }

  @Test
  void shouldFollowTheDocumentedLayout() {
    long firstToken = (5L << 32) + 7;
    CounterDraws draws = new CounterDraws(SEED, (9L << 32) + 11, 0xABCD, firstToken);
    int[] block = new int[4];

    Philox.block(SEED, 10, 11, 0xABCD_8205, 2, block, 0);
    assertEquals(-Math.log(Philox.uniform(block[1])), draws.exponential(3, 9, 2));
    Philox.block(SEED, 10, 11, 0xABCD_9105, 0, block, 0);
    assertEquals(Philox.uniform53(block[0], block[1]), draws.coin(3, 1));
    Philox.block(SEED, 10, 11, 0xABCD_A005, 0, block, 0);
    assertEquals(Philox.uniform53(block[0], block[1]), draws.scale(3, 0));
    Philox.block(SEED, 10, 11, 0xABCD_B005, 1, block, 0);
    assertEquals(Philox.uniform(block[3]), draws.noise(3, 7));
    Philox.block(SEED, 10, 11, 0xABCD_C005, 128, block, 0);
    assertEquals(Philox.uniform(block[0]), draws.inputNoise(3, 512));
    Philox.block(SEED, 10, 11, 0xABCD_D005, 0, block, 0);
    assertEquals(Philox.uniform53(block[0], block[1]), draws.priority(3));
  }

  @Test
  void shouldNotDependOnTheOrderOfCalls() {
    CounterDraws forward = draws();
    double[] expected = new double[40];
    for (int i = 0; i < expected.length; i++) {
      expected[i] = forward.exponential(i / 8, i % 8, 0);
    }
    CounterDraws backward = draws();
    for (int i = expected.length - 1; i >= 0; i--) {
      backward.coin(i, 0);
      assertEquals(expected[i], backward.exponential(i / 8, i % 8, 0));
      assertEquals(expected[i], backward.exponential(i / 8, i % 8, 0));
    }
  }

  @Test
  void shouldNotDependOnHowTheBatchIsCut() {
    CounterDraws whole = new CounterDraws(SEED, 3, 2, 100);
    CounterDraws second = new CounterDraws(SEED, 3, 2, 164);
    for (int t = 0; t < 64; t++) {
      assertEquals(whole.exponential(64 + t, 5, 0), second.exponential(t, 5, 0));
      assertEquals(whole.priority(64 + t), second.priority(t));
    }
  }

  @Test
  void shouldDifferBySeedStepLayerTokenPurposeAndRound() {
    Set<Double> seen = new HashSet<>();
    int made = 0;
    for (CounterDraws draws :
        new CounterDraws[] {
          new CounterDraws(1, 1, 1, 0),
          new CounterDraws(2, 1, 1, 0),
          new CounterDraws(1, 2, 1, 0),
          new CounterDraws(1, 1, 2, 0),
          new CounterDraws(1, 1, 1, 1L << 32)
        }) {
      for (int token = 0; token < 3; token++) {
        seen.add(draws.coin(token, 0));
        seen.add(draws.coin(token, 1));
        seen.add(draws.scale(token, 0));
        seen.add(draws.priority(token));
        for (int index = 0; index < 5; index++) {
          seen.add(draws.noise(token, index));
          seen.add(draws.inputNoise(token, index));
          seen.add(draws.exponential(token, index, 0));
          seen.add(draws.exponential(token, index, 1));
        }
        made += 4 + 4 * 5;
      }
    }
    assertEquals(made, seen.size());
  }

  @Test
  void shouldHaveMomentsOfTheirLaws() {
    CounterDraws draws = draws();
    assertEquals(1, mean(t -> draws.exponential(t, 3, 0)), FIVE_SIGMA);
    // Var(e^2) = E e^4 - (E e^2)^2 = 24 - 4.
    assertEquals(2, mean(t -> Math.pow(draws.exponential(t, 3, 0), 2)), Math.sqrt(20) * FIVE_SIGMA);
    double uniform = FIVE_SIGMA / Math.sqrt(12);
    assertEquals(0.5, mean(t -> draws.coin(t, 0)), uniform);
    assertEquals(0.5, mean(t -> draws.scale(t, 0)), uniform);
    assertEquals(0.5, mean(t -> draws.noise(t, 6)), uniform);
    assertEquals(0.5, mean(draws::priority), uniform);
  }

  @Test
  void shouldFillTheUnitIntervalEvenly() {
    CounterDraws draws = draws();
    int bins = 64;
    double[] count = new double[bins];
    for (int t = 0; t < SAMPLES; t++) {
      count[(int) (draws.noise(t, 1) * bins)]++;
    }
    double chiSquare = 0;
    double expected = (double) SAMPLES / bins;
    for (double c : count) {
      chiSquare += (c - expected) * (c - expected) / expected;
    }
    // 63 degrees of freedom: mean 63, deviation 11.2.
    assertTrue(chiSquare > 20 && chiSquare < 120, "chi-square " + chiSquare);
  }

  @Test
  void shouldBeUncorrelatedBetweenNeighbours() {
    CounterDraws draws = draws();
    double covariance = mean(t -> (draws.noise(t, 0) - 0.5) * (draws.noise(t + 1, 0) - 0.5));
    assertEquals(0, covariance * 12, FIVE_SIGMA);
    covariance = mean(t -> (draws.noise(t, 0) - 0.5) * (draws.noise(t, 1) - 0.5));
    assertEquals(0, covariance * 12, FIVE_SIGMA);
  }

  @Test
  void shouldRefuseWhatTheCounterCannotHold() {
    assertNotEquals(
        new CounterDraws(1, 1, 0xFFFF, 0).coin(0, 0), new CounterDraws(1, 1, 0, 0).coin(0, 0));
    assertThrows(IllegalArgumentException.class, () -> new CounterDraws(1, 1, 1 << 16, 0));
    assertThrows(IllegalArgumentException.class, () -> new CounterDraws(1, 1, -1, 0));
    assertThrows(IllegalArgumentException.class, () -> new CounterDraws(1, 1, 0, 1L << 40));
    assertThrows(IllegalArgumentException.class, () -> draws().coin(0, 16));
  }

  @Test
  void shouldMakeManyAsOneByOne() {
    // Twice over a carry into the upper bits of the token's number, where no two blocks may mix.
    for (long first : new long[] {0, 5, (1L << 32) - 20, (3L << 32) - 64}) {
      for (int experts = 1; experts <= 9; experts++) {
        for (int tokens : new int[] {1, 7, 16, 37, 64}) {
          compareMany(first, tokens, experts, tokens + 3);
        }
      }
    }
  }

  private static void compareMany(long first, int tokens, int experts, int stride) {
    CounterDraws many = new CounterDraws(SEED, 3, 2, first);
    CounterDraws one = new CounterDraws(SEED, 3, 2, first);
    double[] exponential = new double[experts * stride];
    double[] noise = new double[experts * stride];
    many.exponentials(2, tokens, experts, 1, exponential, stride);
    many.noises(2, tokens, experts, noise, stride);
    int[] block = new int[4];
    for (int t = 0; t < tokens; t++) {
      for (int e = 0; e < experts; e++) {
        assertEquals(one.exponential(2 + t, e, 1), exponential[e * stride + t]);
        assertEquals(one.noise(2 + t, e), noise[e * stride + t]);
      }
      long token = first + t;
      Philox.block(SEED, (int) token, 3, 2 << 16 | 0x91 << 8 | (int) (token >>> 32), 0, block, 0);
      assertEquals(Philox.uniform53(block[0], block[1]), many.coin(t, 1));
    }
  }

  @Test
  void shouldMakeChosenOnesAsOneByOne() {
    Random random = new Random(SEED);
    for (long first : new long[] {0, 5, (1L << 32) - 20, (3L << 32) - 64}) {
      for (int count : new int[] {0, 1, 2, 7, 8, 9, 16, 61, 200}) {
        compareChosen(first, random.ints(count, 0, 64).toArray(), random);
      }
    }
  }

  private static void compareChosen(long first, int[] token_R, Random random) {
    int count = token_R.length;
    int[] expert_R = random.ints(count, 0, 1100).toArray();
    CounterDraws many = new CounterDraws(SEED, 3, 2, first);
    CounterDraws one = new CounterDraws(SEED, 3, 2, first);
    double[] exponential_R = new double[count + 1];
    double[] coin_R = new double[count];
    double[] scale_R = new double[count];
    many.exponentials(2, token_R, expert_R, count, 1, exponential_R, 1);
    many.coins(2, token_R, count, 1, coin_R);
    many.scales(2, token_R, count, 1, scale_R);
    for (int i = 0; i < count; i++) {
      assertEquals(one.exponential(2 + token_R[i], expert_R[i], 1), exponential_R[1 + i]);
      assertEquals(one.coin(2 + token_R[i], 1), coin_R[i]);
      assertEquals(one.scale(2 + token_R[i], 1), scale_R[i]);
    }
  }
}
