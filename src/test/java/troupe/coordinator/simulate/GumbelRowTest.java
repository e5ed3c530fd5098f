package troupe.coordinator.simulate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import troupe.core.math.FloatLog;
import troupe.core.random.Philox;
import troupe.core.random.UniformEnds;

/** The noise of drawn tokens: where it comes from, and that its largest values follow the law. */
class GumbelRowTest {
  private static final int DRAWS = 1_000_000;
  // Six standard deviations.
  private static final double SIGMAS = 6;

  @Test
  void shouldBeAFunctionOfSeedStepTokenAndExpertAlone() {
    int[] block = new int[4];
    // Often enough for the compiler to take over: what it makes has to agree with the interpreter.
    for (int repeat = 0; repeat < 1800; repeat++) {
      int columns = 1 + repeat % 600;
      float[] noise = new float[columns + 1];
      noise[columns] = -7;
      new GumbelRow(9, columns).fill(noise, 5, 3, GumbelRow.TOKEN, repeat);
      assertEquals(-7, noise[columns]);
      for (int c = 0; c < columns; c++) {
        int stretch = c / 256 * 256;
        int blocks = (Math.min(256, columns - stretch) + 3) / 4;
        int pair = (c - stretch) / 2;
        int counter = stretch / 4 + pair % blocks;
        Philox.block(9, counter, repeat, 3 << 16 | GumbelRow.TOKEN << 8, 5, block, 0);
        int word = block[pair / blocks + 2 * (c % 2)];
        assertEquals(FloatLog.of(FloatLog.minusFromEnd(UniformEnds.of(word))), noise[c]);
      }
    }
  }

  @Test
  void shouldHaveAllDigitsOfTheUniformNumberAtBothEnds() {
    for (int word : new int[] {0, 1, 2, 1000, 1 << 20, Integer.MAX_VALUE, -1, -2, -1000, 1 << 31}) {
      double u = ((word & 0xFFFFFFFFL) + 0.5) / 0x1p32;
      double found = FloatLog.minusFromEnd(UniformEnds.of(word));
      assertEquals(1, found / -Math.log1p(-u), 2e-7, "word " + word);
    }
  }

  @Test
  void shouldHaveTheMeanAndVarianceOfGumbelsLaw() {
    GumbelRow row = new GumbelRow(1, 1000);
    float[] noise = new float[1000];
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < DRAWS / 1000; i++) {
      row.fill(noise, 0, 0, GumbelRow.TOKEN, i);
      for (float minus : noise) {
        sum -= minus;
        squares += minus * minus;
      }
    }
    double mean = sum / DRAWS;
    double variance = Math.PI * Math.PI / 6;
    assertEquals(0.5772156649, mean, SIGMAS * Math.sqrt(variance / DRAWS));
    // The fourth central moment is 14.6, 5.4 variances squared.
    assertEquals(variance, squares / DRAWS - mean * mean, SIGMAS * Math.sqrt((14.6 - 2.7) / DRAWS));
  }

  /**
   * Counts of the largest and the second largest of {@code ln w + g} against Zipf's law and against
   * draws without replacement: chi-squared of cells that are large enough, standardised.
   */
  @Test
  void shouldChooseTheBestTwoWithTheProbabilitiesOfTheirWeights() {
    int experts = 40;
    double[] p_E = new double[experts];
    double sum = 0;
    for (int e = 0; e < experts; e++) {
      p_E[e] = Math.pow(e + 1, -1.5);
      sum += p_E[e];
    }
    long[][] count_EE = new long[experts][experts];
    GumbelRow row = new GumbelRow(2, experts);
    float[] noise = new float[experts];
    for (int i = 0; i < DRAWS; i++) {
      row.fill(noise, 1, 0, GumbelRow.TOKEN, i);
      int best = -1;
      int second = -1;
      double most = Double.NEGATIVE_INFINITY;
      double next = Double.NEGATIVE_INFINITY;
      for (int e = 0; e < experts; e++) {
        double logit = Math.log(p_E[e]) - noise[e];
        if (logit > most) {
          second = best;
          next = most;
          best = e;
          most = logit;
        } else if (logit > next) {
          second = e;
          next = logit;
        }
      }
      count_EE[best][second]++;
    }
    double first = 0;
    double pairs = 0;
    int cells = 0;
    for (int a = 0; a < experts; a++) {
      double expected = DRAWS * p_E[a] / sum;
      first += square(Arrays.stream(count_EE[a]).sum() - expected) / expected;
      for (int b = 0; b < experts; b++) {
        double pair = expected * p_E[b] / (sum - p_E[a]);
        if (a != b && pair > 10) {
          pairs += square(count_EE[a][b] - pair) / pair;
          cells++;
        }
      }
    }
    assertStandard(first, experts - 1);
    assertStandard(pairs, cells);
  }

  private static void assertStandard(double chiSquared, int degrees) {
    double standard = (chiSquared - degrees) / Math.sqrt(2.0 * degrees);
    assertTrue(Math.abs(standard) < SIGMAS, chiSquared + " of " + degrees + " degrees");
  }

  private static double square(double x) {
    return x * x;
  }

  /**
   * What wins once in a hundred thousand draws wins by an exponential of that size: 42 950 steps of
   * the resolution of 32 bits, and less than a float near one can tell apart.
   */
  @Test
  void shouldChooseTheRareAsRarelyAsItsWeightSays() {
    double p = 1e-5;
    double logOdds = Math.log(p / (1 - p));
    GumbelRow row = new GumbelRow(3, 2000);
    float[] noise = new float[2000];
    int draws = 20 * DRAWS;
    int wins = 0;
    for (int i = 0; i < draws / 1000; i++) {
      row.fill(noise, 2, 0, GumbelRow.TOKEN, i);
      for (int c = 0; c < 2000; c += 2) {
        wins += logOdds - noise[c] > -noise[c + 1] ? 1 : 0;
      }
    }
    assertEquals(p * draws, wins, SIGMAS * Math.sqrt(p * draws));
  }
}
