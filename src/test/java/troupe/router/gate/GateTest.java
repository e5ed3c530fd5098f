package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.EnumSet;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Closeness;
import troupe.core.config.GateConfig.JitterOn;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;

/** What holds for every gate, and for each in particular. */
class GateTest {
  private static final int SAMPLES = 100_000;

  /** The gates that send a token to one expert at a scale times a softmax. */
  static Set<GateType> topOneTypes() {
    return EnumSet.of(
        GateType.SWITCH,
        GateType.SPARSEMIXER,
        GateType.SPARSEMIXER_1ST,
        GateType.SPARSEMIXER_2ND,
        GateType.SPARSEMIXER_INF);
  }

  static Set<GateType> topOneTypesAndBalanced() {
    Set<GateType> types = topOneTypes();
    types.add(GateType.BALANCED);
    return types;
  }

  private static CounterDraws draws(long seed) {
    return new CounterDraws(seed, 1, 0, 0);
  }

  private static double[] random(long seed, int n, double shift) {
    return new Random(seed).doubles(n, -1, 1).map(v -> v + shift).toArray();
  }

  private static double[] repeated(int tokens, double... row) {
    double[] rows = new double[tokens * row.length];
    for (int t = 0; t < tokens; t++) {
      System.arraycopy(row, 0, rows, t * row.length, row.length);
    }
    return rows;
  }

  /** Draws seen through a permutation: expert j gets what was expert {@code of[j]}'s. */
  private record Permuted(Draws draws, int[] of) implements Draws {
    @Override
    public double exponential(int token, int expert, int round) {
      return draws.exponential(token, of[expert], round);
    }

    @Override
    public double coin(int token, int round) {
      return draws.coin(token, round);
    }

    @Override
    public double scale(int token, int round) {
      return draws.scale(token, round);
    }

    @Override
    public double noise(int token, int expert) {
      return draws.noise(token, of[expert]);
    }

    @Override
    public double inputNoise(int token, int channel) {
      return draws.inputNoise(token, channel);
    }

    @Override
    public double priority(int token) {
      return draws.priority(token);
    }
  }

  @ParameterizedTest
  @MethodSource("topOneTypes")
  void shouldPermuteWithTheExperts(GateType type) {
    int tokens = 200;
    int[] of = {3, 0, 4, 2, 1};
    int experts = of.length;
    Gate gate = Configs.gate(type, 0.2, Mask.CODE);
    double[] logits_TE = random(1, tokens * experts, 2);
    double[] permuted_TE = new double[logits_TE.length];
    for (int i = 0; i < logits_TE.length; i++) {
      permuted_TE[i] = logits_TE[i / experts * experts + of[i % experts]];
    }
    double[] s_T = random(2, tokens, 0);

    Routing plain = gate.route(logits_TE, tokens, experts, draws(1), true);
    Routing permuted = gate.route(permuted_TE, tokens, experts, new Permuted(draws(1), of), true);
    double[] dPlain_TE = new double[logits_TE.length];
    double[] dPermuted_TE = new double[logits_TE.length];
    plain.backward(dPlain_TE, s_T);
    permuted.backward(dPermuted_TE, s_T);

    double[] expected_TE = new double[logits_TE.length];
    for (int i = 0; i < logits_TE.length; i++) {
      expected_TE[i] = dPlain_TE[i / experts * experts + of[i % experts]];
    }
    for (int t = 0; t < tokens; t++) {
      assertEquals(plain.expert_S()[t], of[permuted.expert_S()[t]]);
    }
    assertArrayEquals(plain.scale_S(), permuted.scale_S());
    Closeness.assertClose("dLogits", expected_TE, dPermuted_TE, 1e-12, 1e-15);
  }

  @ParameterizedTest
  @MethodSource("topOneTypes")
  void shouldNameTheLogitThatIsNotFinite(GateType type) {
    Gate gate = Configs.gate(type, 0.1, Mask.CODE);
    for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY, -1.0 / 0}) {
      double[] logits_TE = random(3, 4 * 3, 0);
      logits_TE[2 * 3 + 1] = bad;
      NonFiniteLogitsException e =
          assertThrows(
              NonFiniteLogitsException.class, () -> gate.route(logits_TE, 4, 3, draws(3), true));
      assertEquals(2, e.token());
      assertEquals("logit of token 2 for expert 1: " + bad + " (expected: finite)", e.getMessage());
    }
  }

  @ParameterizedTest
  @MethodSource("topOneTypesAndBalanced")
  void shouldGiveProbabilityOneAndNoGradientWhenThereIsOneExpert(GateType type) {
    Gate gate = Configs.gate(type, 0.1, Mask.CODE);
    Routing routing = gate.route(random(4, 6, 0), 6, 1, draws(4), true);
    double[] dLogits_TE = new double[6];
    routing.backward(dLogits_TE, random(5, 6, 0));

    assertArrayEquals(new double[] {1, 1, 1, 1, 1, 1}, routing.p_TE());
    assertArrayEquals(new int[6], routing.expert_S());
    assertArrayEquals(new double[6], dLogits_TE);
    assertEquals(0, Load.alive(routing));
  }

  @ParameterizedTest
  @MethodSource("topOneTypes")
  void shouldAcceptNoTokensAndOneToken(GateType type) {
    Gate gate = Configs.gate(type, 0.1, Mask.CODE);
    Routing empty = gate.route(new double[0], 0, 3, draws(1), true);
    empty.backward(new double[0], new double[0]);
    assertEquals(0, empty.expert_S().length);

    Routing one = gate.route(new double[] {1, 5, 2}, 1, 3, draws(1), false);
    assertArrayEquals(new int[] {1}, one.expert_S());
    assertArrayEquals(new double[] {1}, one.scale_S());
  }

  @ParameterizedTest
  @MethodSource("topOneTypesAndBalanced")
  void shouldRefuseLogitsOfAnotherShape(GateType type) {
    Gate gate = Configs.gate(type, 0.1, Mask.CODE);
    assertThrows(
        IllegalArgumentException.class, () -> gate.route(new double[7], 2, 4, draws(1), true));
    assertThrows(
        IllegalArgumentException.class, () -> gate.route(new double[0], 2, 0, draws(1), true));
  }

  @ParameterizedTest
  @MethodSource("topOneTypes")
  void shouldTakeTheFirstOfTiesAndNoDrawsWhenEvaluating(GateType type) {
    Gate gate = Configs.gate(type, 0.1, Mask.CODE);
    Routing routing = gate.route(new double[] {1, 2, 2, 0, 0, 0}, 2, 3, null, false);
    assertArrayEquals(new int[] {1, 0}, routing.expert_S());
    assertEquals(1, ((TopOne.Gradient) routing.estimator()).factor());
    assertNull(routing.logitScale_TE());
  }

  @ParameterizedTest
  @MethodSource("topOneTypesAndBalanced")
  void shouldAddToTheGradientThatIsThere(GateType type) {
    Gate gate = Configs.gate(type, 0.2, Mask.CODE);
    double[] logits_TE = random(6, 20 * 4, 2);
    double[] s_T = random(7, 20, 0);
    Routing routing = gate.route(logits_TE, 20, 4, draws(6), true);
    double[] once = new double[80];
    routing.backward(once, s_T);
    double[] thrice = once.clone();
    routing.backward(thrice, s_T);
    routing.backward(thrice, s_T);
    for (int i = 0; i < once.length; i++) {
      assertEquals(3 * once[i], thrice[i], 1e-14);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"CODE", "PAPER", "NONE"})
  void shouldSampleExpertsByTheMaskedSoftmax(String mask) {
    double[] row = {2, 1.5, 1.95, -1, 1.7};
    int experts = row.length;
    Gate gate = Configs.gate(GateType.SPARSEMIXER, 0.1, Mask.valueOf(mask));
    Routing routing = gate.route(repeated(SAMPLES, row), SAMPLES, experts, draws(11), true);
    int[] count_E = Load.routed(routing);
    for (int e = 0; e < experts; e++) {
      double p = routing.p_TE()[e];
      double fiveSigma = 5 * Math.sqrt(p * (1 - p) / SAMPLES);
      assertEquals(p, (double) count_E[e] / SAMPLES, fiveSigma, "seed 11, expert " + e);
    }
    assertEquals(mask.equals("NONE"), count_E[3] > 0);
    assertEquals(SAMPLES, Load.alive(routing));
  }

  @Test
  void shouldDrawNothingForTokensWithOneKeptExpert() {
    Gate gate = Configs.gate(GateType.SPARSEMIXER, 0.1, Mask.CODE);
    Routing routing = gate.route(new double[] {-1, 3, 0, 5, 1, 1}, 2, 3, null, true);
    assertArrayEquals(new int[] {1, 0}, routing.expert_S());
    assertArrayEquals(new double[] {1, 1}, routing.multiplier_S());
    assertEquals(0, Load.alive(routing));
  }

  @Test
  void shouldScaleAsEachVariantSays() {
    double[] logits_TE = repeated(SAMPLES, 1, 1.01);
    for (GateType type : topOneTypes()) {
      Routing routing =
          Configs.gate(type, 0.1, Mask.CODE).route(logits_TE, SAMPLES, 2, draws(12), true);
      double sum = 0;
      double bestSum = 0;
      int best = 0;
      for (int t = 0; t < SAMPLES; t++) {
        double a = routing.scale_S()[t];
        sum += a;
        bestSum += routing.expert_S()[t] == 1 ? a : 0;
        best += routing.expert_S()[t] == 1 ? 1 : 0;
        assertEquals(a * routing.p_TE()[2 * t + routing.expert_S()[t]], routing.multiplier_S()[t]);
      }
      double bestMean = bestSum / best;
      double otherMean = best == SAMPLES ? 1 : (sum - bestSum) / (SAMPLES - best);
      double[] expected =
          switch (type) {
            case SWITCH, SPARSEMIXER_1ST -> new double[] {1, 1};
            case SPARSEMIXER_2ND -> new double[] {0.75, 0.75};
            case SPARSEMIXER, SPARSEMIXER_INF -> new double[] {1, 0.75};
            default -> throw new AssertionError("no estimator");
          };
      assertEquals(expected[0], bestMean, 0.01, "seed 12, " + type);
      assertEquals(expected[1], otherMean, 0.01, "seed 12, " + type);
    }
  }

  @Test
  void shouldLeaveLogitsAloneWhenSwitchJittersItsInput() {
    var config = Configs.config(GateType.SWITCH, 0.1, JitterOn.INPUT, Mask.NONE);
    double[] logits_TE = random(8, 12, 0);
    Routing routing = Gates.of(config).route(logits_TE, 4, 3, null, true);
    assertSame(logits_TE, routing.logits_TE());
    assertNull(routing.logitScale_TE());
    assertEquals(new Jitter(0.1), Gates.inputJitter(config));

    var onLogits = Configs.config(GateType.SWITCH, 0.1, JitterOn.LOGITS, Mask.NONE);
    assertEquals(Jitter.NONE, Gates.inputJitter(onLogits));
    var mixer = Configs.config(GateType.SPARSEMIXER, 0.1, JitterOn.INPUT, Mask.CODE);
    assertEquals(Jitter.NONE, Gates.inputJitter(mixer));
  }

  @Test
  void shouldJitterInputsWithinTheirWidth() {
    Jitter jitter = new Jitter(0.05);
    double[] u_TD = jitter.inputFactors(1000, 20, draws(9));
    double sum = 0;
    for (int i = 0; i < u_TD.length; i++) {
      assertTrue(u_TD[i] >= 0.95 && u_TD[i] < 1.05, "factor " + u_TD[i]);
      assertEquals(jitter.factor(draws(9).inputNoise(i / 20, i % 20)), u_TD[i]);
      sum += u_TD[i];
    }
    assertEquals(1, sum / u_TD.length, 0.001);
    assertEquals(0.95, jitter.factor(0), 1e-15);
    assertThrows(IllegalArgumentException.class, () -> new Jitter(-0.1));
    assertThrows(IllegalArgumentException.class, () -> new Jitter(Double.NaN));
  }
}
