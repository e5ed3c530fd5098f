package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static troupe.router.gate.GoldenTolerance.assertGolden;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Closeness;
import troupe.Golden;
import troupe.core.config.RunConfig.GateType;
import troupe.core.config.RunConfig.Mask;

/**
 * Exact expectations of the estimators: the gates are driven through every expert and both sides of
 * the coin, and the scale of the integrating one through a quadrature. Estimators that are not
 * among the gates are put together from the same parts: another scale rule or another factor.
 *
 * <p>Not here, as they are no gates of this package: reinforce_plus_pathwise, st_dense_ungated and
 * the second moments of REINFORCE.
 */
@Tag("golden")
class EstimatorExpectationGoldenTest {
  private static final double FULL = 0.9;
  private static final double PART = 0.1;

  /** Weights of the quadrature are good to some 1e-14, and forty of them are summed. */
  private static final double QUADRATURE_FLOOR = 1e-13;

  /** SparseMixer-inf without its exception for the best expert. */
  private static final ScaleRule INTEGRAL_ALWAYS =
      (best, draws, token, round) -> draws.coin(token, round) > 0.5 ? 1 : draws.scale(token, round);

  /** What a gate gave for one token. */
  private record Outcome(Routing routing, double[] y, double[] gradient) {}

  static Stream<Golden> cases() {
    return Golden.cases("estimator_expectation");
  }

  private static Outcome outcome(Golden golden, Gate gate, Draws draws, boolean training) {
    int experts = golden.integer("num_experts");
    Routing routing = gate.route(golden.doubles("logits"), 1, experts, draws, training);
    double[] f = golden.matrix("expert_out")[routing.expert_S()[0]];
    double m = routing.multiplier_S()[0];
    double[] y = Arrays.stream(f).map(v -> m * v).toArray();
    double[] g = ExampleLoss.of(golden).gradient(y);
    double s = IntStream.range(0, f.length).mapToDouble(i -> g[i] * f[i]).sum();
    double[] gradient = new double[experts];
    routing.backward(gradient, new double[] {s});
    return new Outcome(routing, y, gradient);
  }

  /**
   * Mean of the gradients over experts and coin, {@code full} being the chance of a coin of FULL.
   */
  private static double[] expectation(Golden golden, Gate gate, double full) {
    double[] p = golden.doubles("p");
    double[] mean = new double[p.length];
    for (int expert = 0; expert < p.length; expert++) {
      if (p[expert] == 0) {
        continue;
      }
      int forced = expert;
      double[] fullGradient = gradient(golden, gate, new ForcedDraws(expert, FULL, 0));
      double[] partGradient =
          GaussLegendre.integrate(u -> gradient(golden, gate, new ForcedDraws(forced, PART, u)));
      for (int j = 0; j < p.length; j++) {
        mean[j] += p[expert] * (full * fullGradient[j] + (1 - full) * partGradient[j]);
      }
    }
    return mean;
  }

  private static double[] gradient(Golden golden, Gate gate, ForcedDraws draws) {
    Outcome outcome = outcome(golden, gate, draws, true);
    assertEquals(draws.expert(), outcome.routing().expert_S()[0], "forced expert");
    return outcome.gradient();
  }

  private static void assertExpectation(Golden golden, String key, double[] actual) {
    Closeness.assertClose(
        golden + " " + key,
        golden.child("expectation").doubles(key),
        actual,
        GoldenTolerance.RELATIVE,
        QUADRATURE_FLOOR);
  }

  private static Gate configured(Golden golden, GateType type) {
    return Configs.gate(type, golden.number("jitter_eps"), Mask.CODE);
  }

  private static Gate composed(Golden golden, ScaleRule scaleRule, double factor) {
    return new SparseMixerGate(MaskRule.code(golden.number("jitter_eps")), scaleRule, factor);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchExpectationsOfConfiguredGates(Golden golden) {
    assertExpectation(
        golden, "sm_first", expectation(golden, configured(golden, GateType.SPARSEMIXER_1ST), 0.5));
    assertExpectation(
        golden,
        "sm_second_always",
        expectation(golden, configured(golden, GateType.SPARSEMIXER_2ND), 0.5));
    assertExpectation(
        golden,
        "sm_balanced_author",
        expectation(golden, configured(golden, GateType.SPARSEMIXER), 0.5));
    assertExpectation(
        golden,
        "sm_inf_author",
        expectation(golden, configured(golden, GateType.SPARSEMIXER_INF), 0.5));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchExpectationsOfOtherScalesAndFactors(Golden golden) {
    double[] heun = expectation(golden, composed(golden, partial(1.0 / 3), 1), 0.25);
    double[] nabla1 = expectation(golden, composed(golden, ScaleRule.FIRST_ORDER, 1), 0.5);
    double[] both = IntStream.range(0, heun.length).mapToDouble(i -> heun[i] + nabla1[i]).toArray();

    assertExpectation(golden, "sampled_gate_only", nabla1);
    assertExpectation(golden, "heun_nabla0_exact_thirds_always", heun);
    assertExpectation(golden, "heun_plus_nabla1_always", both);
    assertExpectation(
        golden, "inf_always", expectation(golden, composed(golden, INTEGRAL_ALWAYS, 2), 0.5));
    assertExpectation(
        golden,
        "v2_top1_author",
        expectation(golden, composed(golden, exceptBest(partial(0.3333)), 1), 0.25));
  }

  private static ScaleRule partial(double part) {
    return (best, draws, token, round) -> draws.coin(token, round) > 0.5 ? 1 : part;
  }

  private static ScaleRule exceptBest(ScaleRule rule) {
    return (best, draws, token, round) -> best ? 1 : rule.scale(false, draws, token, round);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchPlainGradientOfTheBestExpert(Golden golden) {
    Outcome evaluated = outcome(golden, configured(golden, GateType.SPARSEMIXER), null, false);
    assertExpectation(golden, "switch_argmax_gate_only", evaluated.gradient());

    boolean allKept = IntStream.of(golden.ints("masked")).allMatch(masked -> masked == 0);
    if (allKept) {
      Gate noiseless = Configs.gate(GateType.SWITCH, 0, Mask.NONE);
      Outcome switched = outcome(golden, noiseless, null, true);
      assertExpectation(golden, "switch_argmax_gate_only", switched.gradient());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldBeUnbiasedWhereTheorySaysSo(Golden golden) {
    double[] truth = golden.doubles("true_grad");
    double[] midpoint = expectation(golden, configured(golden, GateType.SPARSEMIXER_2ND), 0.5);
    double[] integral = expectation(golden, composed(golden, INTEGRAL_ALWAYS, 2), 0.5);
    double[] heun = expectation(golden, composed(golden, partial(1.0 / 3), 1), 0.25);
    String loss = golden.text("loss");

    assertUnbiased(golden + " integral", truth, integral);
    if (loss.equals("quadratic")) {
      assertUnbiased(golden + " mid-point", truth, midpoint);
    }
    if (!loss.equals("softplus")) {
      assertUnbiased(golden + " Heun", golden.doubles("nabla0"), heun);
    }
  }

  private static void assertUnbiased(String what, double[] truth, double[] mean) {
    Closeness.assertClose(what, truth, mean, GoldenTolerance.RELATIVE, QUADRATURE_FLOOR);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveEveryOutcomeOfTheAuthorsCode(Golden golden) {
    List<Golden> outcomes = golden.children("author_outcomes");
    assertTrue(outcomes.size() > 1, golden + ": outcomes");
    for (Golden expected : outcomes) {
      String router = expected.text("router");
      Gate gate =
          router.equals("v2")
              ? composed(golden, exceptBest(partial(0.3333)), 1)
              : Configs.authors(router, golden.number("jitter_eps"));
      double coin = expected.flag("coin_keep_full") ? FULL : PART;
      Outcome actual =
          outcome(golden, gate, new ForcedDraws(expected.integer("sample"), coin, 0), true);

      assertEquals(expected.integer("sample"), actual.routing().expert_S()[0]);
      assertGolden(expected, "y", actual.y());
      assertGolden(expected, "grad_logits", actual.gradient());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchSecondMoments(Golden golden) {
    assertSecondMoment(golden, "second_moment_SparseMixerFirst", "SparseMixerFirst");
    assertSecondMoment(golden, "second_moment_SparseMixer", "SparseMixer");
  }

  private static void assertSecondMoment(Golden golden, String key, String router) {
    Gate gate = Configs.authors(router, golden.number("jitter_eps"));
    double[] p = golden.doubles("p");
    double moment = 0;
    for (int expert = 0; expert < p.length; expert++) {
      if (p[expert] == 0) {
        continue;
      }
      for (double coin : new double[] {FULL, PART}) {
        double[] gradient = gradient(golden, gate, new ForcedDraws(expert, coin, 0));
        moment += 0.5 * p[expert] * Arrays.stream(gradient).map(v -> v * v).sum();
      }
    }
    assertGolden(golden.child("expectation"), key, moment);
  }
}
