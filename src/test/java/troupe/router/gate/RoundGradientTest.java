package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.Closeness;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;
import troupe.core.config.RunConfig.Rounding;

/** Gradients of rounds against the softmax of each round, experts one by one. */
class RoundGradientTest {
  private static final int TOKENS = 70;

  /** A token's softmax over some experts. */
  private static double[] softmax(double[] logits_E, boolean[] has_E) {
    double max = Double.NEGATIVE_INFINITY;
    for (int e = 0; e < has_E.length; e++) {
      max = has_E[e] ? Math.max(max, logits_E[e]) : max;
    }
    double sum = 0;
    double[] p_E = new double[has_E.length];
    for (int e = 0; e < has_E.length; e++) {
      p_E[e] = has_E[e] ? Math.exp(logits_E[e] - max) : 0;
      sum += p_E[e];
    }
    for (int e = 0; e < has_E.length; e++) {
      p_E[e] /= sum;
    }
    return p_E;
  }

  private static void check(MaskRule rule, int k, Routing routing, String what) {
    int experts = routing.experts();
    Random random = new Random(9);
    double[] s_S = random.doubles(routing.slots(), -1, 1).toArray();
    double[] expected_TE = random.doubles(TOKENS * experts, -1, 1).toArray();
    double[] dLogits_TE = expected_TE.clone();
    for (int t = 0; t < TOKENS; t++) {
      double[] logits_E = Arrays.copyOfRange(routing.logits_TE(), t * experts, (t + 1) * experts);
      boolean[] left_E = new boolean[experts];
      Arrays.fill(left_E, true);
      for (int slot = t * k; slot < (t + 1) * k; slot++) {
        boolean[] has_E = new boolean[experts];
        Arrays.fill(has_E, true);
        if (routing.expert_S()[slot] == routing.wanted_S()[slot]) {
          double max = Double.NEGATIVE_INFINITY;
          for (int e = 0; e < experts; e++) {
            max = left_E[e] ? Math.max(max, logits_E[e]) : max;
          }
          for (int e = 0; e < experts; e++) {
            has_E[e] = left_E[e] && rule.keeps(logits_E[e], max);
          }
        }
        double[] p_E = softmax(logits_E, has_E);
        int own = routing.expert_S()[slot];
        assertEquals(routing.scale_S()[slot] * p_E[own], routing.multiplier_S()[slot], 1e-14, what);
        for (int e = 0; e < experts; e++) {
          double one = e == own ? 1 : 0;
          expected_TE[t * experts + e] += s_S[slot] * p_E[own] * (one - p_E[e]);
        }
        left_E[routing.wanted_S()[slot]] = false;
      }
    }
    routing.backward(dLogits_TE, s_S);
    Closeness.assertClose(what, expected_TE, dLogits_TE, 1e-12, 1e-14);
  }

  @ParameterizedTest
  @CsvSource({"1, 1", "2, 2", "5, 3", "8, 2", "12, 1", "64, 2", "70, 3", "130, 2"})
  void shouldBeTheJacobianOfEachRound(int experts, int k) {
    Random random = new Random(experts);
    ScaleRule scales = QuadratureScale.nabla0(Quadrature.SIMPSON, true);
    for (double width : new double[] {1, 40, 3000}) {
      double[] logits_TE = new double[TOKENS * experts];
      // Whole numbers among them, for ties.
      Arrays.setAll(
          logits_TE,
          i -> random.nextInt(4) == 0 ? random.nextInt(3) : random.nextGaussian() * width);
      for (MaskRule rule :
          new MaskRule[] {MaskRule.code(0.1), MaskRule.paper(0.4), MaskRule.NONE}) {
        for (boolean training : new boolean[] {true, false}) {
          GateInput input =
              GateInput.of(logits_TE, TOKENS, experts, new CounterDraws(1, 1, 0, 0), training);
          String what = "width " + width + ", " + rule + ", training " + training;
          check(rule, k, new GrinGate(rule, scales, k).route(input), what);
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({"6, 2", "20, 3"})
  void shouldTakeTheSoftmaxOfAllWhereASlotWasRerouted(int experts, int k) {
    Capacity tight = new Capacity(0.9, 1, Rounding.SWITCH, DropOrder.POSITION, Overflow.NEXT, 0);
    ScaleRule scales = QuadratureScale.nabla0(Quadrature.HEUN, true);
    double[] logits_TE = new Random(3).doubles(TOKENS * experts, -2, 2).toArray();
    for (MaskRule rule : new MaskRule[] {MaskRule.code(0.2), MaskRule.NONE}) {
      GateInput input =
          GateInput.of(logits_TE, TOKENS, experts, new CounterDraws(1, 1, 0, 0), true).with(tight);
      Routing routing = new GrinGate(rule, scales, k).route(input);
      assertTrue(routing.rerouted() > 0);
      check(rule, k, routing, rule.toString());
    }
  }
}
