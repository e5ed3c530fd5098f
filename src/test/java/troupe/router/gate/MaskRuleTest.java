package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.config.GateConfig.Mask;

class MaskRuleTest {
  private static final int ROWS = 20_000;

  private static double[] row(Random random) {
    double shift = 2 * random.nextGaussian();
    return random.doubles(2 + random.nextInt(7), -1, 1).map(v -> v + shift).toArray();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void shouldKeepByCodeWhateverIsKeptByPaper(long seed) {
    Random random = new Random(seed);
    int more = 0;
    for (int n = 0; n < ROWS; n++) {
      double[] logits = row(random);
      double max = Arrays.stream(logits).max().orElseThrow();
      double epsilon = 0.3 * random.nextDouble();
      MaskRule code = MaskRule.code(epsilon);
      MaskRule paper = MaskRule.paper(epsilon);
      for (double logit : logits) {
        boolean byCode = code.keeps(logit, max);
        boolean byPaper = paper.keeps(logit, max);
        assertTrue(byCode || !byPaper, () -> Arrays.toString(logits) + " epsilon " + epsilon);
        more += byCode && !byPaper ? 1 : 0;
      }
    }
    assertTrue(more > 0, "the rules never differed");
  }

  @ParameterizedTest
  @ValueSource(longs = {4, 5})
  void shouldKeepByPaperWhateverWinsUnderLogitJitter(long seed) {
    Random random = new Random(seed);
    double epsilon = 0.2;
    MaskRule paper = MaskRule.paper(epsilon);
    Jitter jitter = new Jitter(epsilon);
    int upsets = 0;
    for (int n = 0; n < ROWS; n++) {
      double[] logits = row(random);
      double max = Arrays.stream(logits).max().orElseThrow();
      int winner = 0;
      double highest = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < logits.length; j++) {
        double jittered = logits[j] * jitter.factor(random.nextDouble());
        if (jittered > highest) {
          highest = jittered;
          winner = j;
        }
      }
      assertTrue(paper.keeps(logits[winner], max), Arrays.toString(logits));
      upsets += logits[winner] < max ? 1 : 0;
    }
    assertTrue(upsets > 0, "jitter never changed the winner");
  }

  @ParameterizedTest
  @ValueSource(longs = {6})
  void shouldNotDependOnThePowerOfTwoOfTheLogits(long seed) {
    Random random = new Random(seed);
    for (MaskRule rule : new MaskRule[] {MaskRule.code(0.1), MaskRule.paper(0.1)}) {
      for (int n = 0; n < ROWS; n++) {
        double[] logits = row(random);
        double max = Arrays.stream(logits).max().orElseThrow();
        for (double logit : logits) {
          assertEquals(rule.keeps(logit, max), rule.keeps(0x1p40 * logit, 0x1p40 * max));
        }
      }
    }
  }

  @Test
  void shouldCompareTheRoundedQuotientAsTheCodeDoes() {
    // (1 - 0.8) / 1 is 0.19999999999999996, which is not above 0.2.
    assertTrue(MaskRule.code(0.1).keeps(0.8, 1));
    assertFalse(MaskRule.code(0.1).keeps(0.79, 1));
  }

  @Test
  void shouldKeepTiesAtZero() {
    assertTrue(MaskRule.code(0.1).keeps(0.0, 0.0));
    assertTrue(MaskRule.code(0.1).keeps(-0.0, 0.0));
    assertTrue(MaskRule.code(0).keeps(0.0, -0.0));
    assertFalse(MaskRule.code(0.1).keeps(-Double.MIN_VALUE, 0.0));
  }

  @Test
  void shouldNeverMaskWhenCodeEpsilonIsOne() {
    assertTrue(MaskRule.code(1).keeps(-1e150, 1e150));
    assertTrue(MaskRule.code(1).keeps(-5, 1e-300));
  }

  @Test
  void shouldKeepAllWhenThereIsNoRule() {
    MaskRule none = MaskRule.of(Mask.NONE, 0.1);
    assertEquals(MaskRule.NONE, none);
    assertTrue(none.keeps(-1e300, 1e300));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 7, 8, 64})
  void shouldDecideManyAsOneByOne(int experts) {
    int tokens = 16;
    Random random = new Random(7);
    double[] max_T = new double[tokens];
    double[] x_ET = new double[experts * tokens];
    long[] bits_T = new long[tokens + 1];
    for (int n = 0; n < 2_000; n++) {
      for (int t = 0; t < tokens; t++) {
        max_T[t] = Double.NEGATIVE_INFINITY;
        double shift = 2 * random.nextGaussian();
        for (int e = 0; e < experts; e++) {
          // Whole tenths too: those are the ones at the very threshold.
          double x = random.nextInt(3) == 0 ? random.nextInt(-9, 10) / 10.0 : random.nextDouble();
          x_ET[e * tokens + t] = random.nextInt(20) == 0 ? -0.0 : x + (x == 0 ? 0 : shift);
          max_T[t] = Math.max(max_T[t], x_ET[e * tokens + t]);
        }
      }
      double epsilon = random.nextInt(1, 10) / 20.0;
      for (MaskRule rule :
          new MaskRule[] {MaskRule.code(epsilon), MaskRule.paper(epsilon), MaskRule.NONE}) {
        rule.loopBits(x_ET, 0, experts, tokens, max_T, tokens, bits_T, 1);
        for (int t = 0; t < tokens; t++) {
          for (int e = 0; e < experts; e++) {
            assertEquals(
                rule.keeps(x_ET[e * tokens + t], max_T[t]),
                (bits_T[1 + t] >>> e & 1) != 0,
                rule + " " + x_ET[e * tokens + t] + " of " + max_T[t]);
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(longs = {8, 9})
  void shouldDecideManyAsOneByOneNextToTheThreshold(long seed) {
    int tokens = 16;
    Random random = new Random(seed);
    double[] max_T = new double[tokens];
    double[] x_T = new double[tokens];
    long[] bits_T = new long[tokens];
    for (int n = 0; n < ROWS; n++) {
      double epsilon = random.nextInt(5) == 0 ? 0 : 0.49 * random.nextDouble();
      for (int t = 0; t < tokens; t++) {
        max_T[t] = random.nextGaussian() * Math.pow(2, random.nextInt(-200, 200));
        double least = max_T[t] > 0 ? max_T[t] * (1 - 2 * epsilon) : max_T[t] / (1 - 2 * epsilon);
        x_T[t] = Math.min(max_T[t], least + random.nextInt(-5, 6) * Math.ulp(least));
      }
      MaskRule rule = MaskRule.code(epsilon);
      rule.loopBits(x_T, 0, 1, tokens, max_T, tokens, bits_T, 0);
      for (int t = 0; t < tokens; t++) {
        String what = rule + " " + x_T[t] + " of " + max_T[t];
        assertEquals(rule.keeps(x_T[t], max_T[t]), bits_T[t] != 0, what);
      }
    }
  }
}
