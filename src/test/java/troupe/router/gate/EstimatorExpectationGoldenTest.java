package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static troupe.router.gate.GoldenTolerance.assertGolden;

import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Closeness;
import troupe.Golden;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;
import troupe.router.gate.OneToken.Cell;
import troupe.router.gate.OneToken.Outcome;

/**
 * Exact expectations of the estimators: the gates are driven through every expert and every side of
 * the coin, and the scale of the integrating one through a quadrature. Two estimators are not among
 * the gates and are put together from their parts: SparseMixer's whose only gradient is that of the
 * gate, and the integrating one without its exception for the best expert.
 */
@Tag("golden")
class EstimatorExpectationGoldenTest {
  private static final List<Cell> QUARTER = Cell.between(0.75);

  /** Weights of the quadrature are good to some 1e-14, and forty of them are summed. */
  private static final double QUADRATURE_FLOOR = 1e-13;

  /** SparseMixer-inf without its exception for the best expert. */
  private static final ScaleRule INTEGRAL_ALWAYS =
      (best, draws, token, round) -> draws.coin(token, round) > 0.5 ? 1 : draws.scale(token, round);

  static Stream<Golden> cases() {
    return Golden.cases("estimator_expectation");
  }

  private static Gate configured(Golden golden, GateType type) {
    return Configs.gate(type, golden.number("jitter_eps"), Mask.CODE);
  }

  private static Gate configured(Golden golden, String overrides) {
    return Configs.parsed("gate.jitter=" + golden.number("jitter_eps") + " " + overrides);
  }

  private static Gate composed(Golden golden, ScaleRule scaleRule, double factor) {
    return new SparseMixerGate(MaskRule.code(golden.number("jitter_eps")), scaleRule, factor);
  }

  private static Gate v2(Golden golden) {
    return configured(golden, "gate.type=sparsemixer-v2 gate.ode.rule=heun-published");
  }

  private static void assertExpectation(
      Golden golden, String key, Gate gate, List<Cell> coins, List<Cell> scales) {
    assertExpectation(golden, key, OneToken.of(golden).expectation(gate, coins, scales));
  }

  private static void assertExpectation(Golden golden, String key, double[] actual) {
    assertClose(golden + " " + key, golden.child("expectation").doubles(key), actual);
  }

  private static void assertClose(String what, double[] expected, double[] actual) {
    Closeness.assertClose(what, expected, actual, GoldenTolerance.RELATIVE, QUADRATURE_FLOOR);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchExpectationsOfSparseMixer(Golden golden) {
    assertExpectation(
        golden, "sm_first", configured(golden, GateType.SPARSEMIXER_1ST), Cell.EVEN, Cell.ANY);
    assertExpectation(
        golden,
        "sm_second_always",
        configured(golden, GateType.SPARSEMIXER_2ND),
        Cell.EVEN,
        Cell.ANY);
    assertExpectation(
        golden,
        "sm_balanced_author",
        configured(golden, GateType.SPARSEMIXER),
        Cell.EVEN,
        Cell.ANY);
    assertExpectation(
        golden,
        "sm_inf_author",
        configured(golden, GateType.SPARSEMIXER_INF),
        Cell.EVEN,
        Cell.everywhere());
    assertExpectation(
        golden,
        "sampled_gate_only",
        composed(golden, ScaleRule.FIRST_ORDER, 1),
        Cell.ANY,
        Cell.ANY);
    assertExpectation(
        golden, "inf_always", composed(golden, INTEGRAL_ALWAYS, 2), Cell.EVEN, Cell.everywhere());
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchExpectationsOfQuadratures(Golden golden) {
    String heun = " gate.ode.rule=heun gate.ode.full_best=false";
    String midpoint = "gate.type=sparsemixer-ode gate.ode.rule=midpoint";
    assertExpectation(golden, "v2_top1_author", v2(golden), QUARTER, Cell.ANY);
    assertExpectation(
        golden,
        "heun_nabla0_exact_thirds_always",
        configured(golden, "gate.type=sparsemixer-v2" + heun),
        QUARTER,
        Cell.ANY);
    assertExpectation(
        golden,
        "heun_plus_nabla1_always",
        configured(golden, "gate.type=sparsemixer-ode" + heun),
        Cell.EVEN,
        QUARTER);
    assertExpectation(
        golden, "sm_balanced_author", configured(golden, midpoint), Cell.EVEN, Cell.ANY);
    assertExpectation(
        golden,
        "sm_second_always",
        configured(golden, midpoint + " gate.ode.full_best=false"),
        Cell.EVEN,
        Cell.ANY);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchExpectationsOfOthers(Golden golden) {
    String reinforce = "gate.type=reinforce gate.reinforce.gated=true gate.reinforce.baseline=";
    for (String baseline :
        List.of("constant", "constant gate.reinforce.value=1.7", "leave-one-out")) {
      assertExpectation(
          golden,
          "reinforce_plus_pathwise",
          configured(golden, reinforce + baseline),
          Cell.ANY,
          Cell.ANY);
    }
    assertExpectation(
        golden,
        "reinforce_plus_pathwise",
        OneToken.of(golden)
            .expectation(configured(golden, reinforce + "ema"), Cell.ANY, Cell.ANY, -0.4));
    assertExpectation(
        golden,
        "st_dense_ungated",
        configured(golden, "gate.type=straight-through"),
        Cell.ANY,
        Cell.ANY);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchPlainGradientOfTheBestExpert(Golden golden) {
    for (String type : List.of("sparsemixer", "sparsemixer-v2", "sparsemixer-ode")) {
      Outcome evaluated =
          OneToken.of(golden).outcome(configured(golden, "gate.type=" + type), null, false);
      assertExpectation(golden, "switch_argmax_gate_only", evaluated.gradient());
    }
    boolean allKept = IntStream.of(golden.ints("masked")).allMatch(masked -> masked == 0);
    if (allKept) {
      Gate noiseless = Configs.gate(GateType.SWITCH, 0, Mask.NONE);
      Outcome switched = OneToken.of(golden).outcome(noiseless, null, true);
      assertExpectation(golden, "switch_argmax_gate_only", switched.gradient());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveEveryOutcomeOfTheAuthorsCode(Golden golden) {
    List<Golden> outcomes = golden.children("author_outcomes");
    assertTrue(outcomes.size() > 1, golden + ": outcomes");
    for (Golden expected : outcomes) {
      String router = expected.text("router");
      Gate gate =
          router.equals("v2") ? v2(golden) : Configs.authors(router, golden.number("jitter_eps"));
      double coin = expected.flag("coin_keep_full") ? OneToken.FULL : OneToken.PART;
      ForcedDraws draws = new ForcedDraws(expected.integer("sample"), coin, 0);
      Outcome actual = OneToken.of(golden).outcome(gate, draws, true);

      assertEquals(expected.integer("sample"), actual.routing().expert_S()[0]);
      assertGolden(expected, "y", actual.y());
      assertGolden(expected, "grad_logits", actual.gradient());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchSecondMoments(Golden golden) {
    OneToken token = OneToken.of(golden);
    Golden expected = golden.child("expectation");
    double jitter = golden.number("jitter_eps");
    Gate first = Configs.authors("SparseMixerFirst", jitter);
    Gate balanced = Configs.authors("SparseMixer", jitter);
    assertGolden(expected, "second_moment_SparseMixerFirst", token.secondMoment(first, Cell.EVEN));
    assertGolden(expected, "second_moment_SparseMixer", token.secondMoment(balanced, Cell.EVEN));
    assertGolden(expected, "second_moment_v2", token.secondMoment(v2(golden), QUARTER));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldMatchSecondMomentsOfReinforce(Golden golden) {
    OneToken token = OneToken.of(golden);
    String reinforce = "gate.type=reinforce gate.reinforce.gated=true gate.reinforce.baseline=";
    double baseline = golden.number("baseline");
    Gate without = configured(golden, reinforce + "constant");
    Gate constant = configured(golden, reinforce + "constant gate.reinforce.value=" + baseline);
    Gate average = configured(golden, reinforce + "ema");
    assertGolden(golden, "second_moment_reinforce", token.secondMoment(without, Cell.ANY));
    assertGolden(
        golden, "second_moment_reinforce_baseline", token.secondMoment(constant, Cell.ANY));
    assertGolden(
        golden,
        "second_moment_reinforce_baseline",
        token.secondMoment(average, Cell.ANY, baseline));
  }
}
