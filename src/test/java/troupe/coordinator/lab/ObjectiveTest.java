package troupe.coordinator.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Closeness;
import troupe.Golden;
import troupe.core.tensor.Activation;

/** The gradient that estimators are held against. */
class ObjectiveTest {
  private static final double STEP = 1e-5;

  /** Central differences at that step: rounding and the third derivative together. */
  private static final double DIFFERENCE_TOLERANCE = 1e-8;

  private static final double GOLDEN_TOLERANCE = 1e-12;

  static Stream<Golden> cases() {
    return Golden.cases("estimator_expectation");
  }

  @ParameterizedTest
  @EnumSource(Problem.Kind.class)
  void shouldMatchFiniteDifferences(Problem.Kind kind) {
    Problem problem = Problem.random(kind, 3, 4, Activation.GELU, 1);
    for (boolean gated : new boolean[] {true, false}) {
      double[] exact = Objective.gradient(problem, Meter.softmax(problem.logits_TE(), 4), gated);
      for (int i = 0; i < exact.length; i++) {
        double difference = (value(problem, i, STEP, gated) - value(problem, i, -STEP, gated));
        assertEquals(difference / (2 * STEP), exact[i], DIFFERENCE_TOLERANCE, kind + " " + i);
      }
    }
  }

  private static double value(Problem problem, int moved, double by, boolean gated) {
    double[] logits_TE = problem.logits_TE().clone();
    logits_TE[moved] += by;
    return Objective.value(problem, Meter.softmax(logits_TE, problem.experts()), gated);
  }

  @Test
  void shouldGiveTheGradientOfTheRoutersWeights() {
    Problem problem = Problem.random(Problem.Kind.LAYER, 3, 4, Activation.RELU, 1);
    double[] dLogits_TE = new double[12];
    dLogits_TE[1 * 4 + 2] = 2;
    double[] dW_DE = problem.parameters(dLogits_TE);
    for (int d = 0; d < problem.x_TD()[1].length; d++) {
      assertEquals(2 * problem.x_TD()[1][d], dW_DE[d * 4 + 2]);
      assertEquals(0, dW_DE[d * 4]);
    }
  }

  @Test
  void shouldGiveMaskedExpertsNoGradient() {
    Problem problem = Problem.random(Problem.Kind.CUBIC, 1, 3, Activation.GELU, 1);
    double[] gradient = Objective.gradient(problem, new double[] {0.25, 0, 0.75}, true);
    assertEquals(0, gradient[1], 0);
    assertEquals(0, gradient[0] + gradient[2], 1e-15);
    assertTrue(gradient[0] != 0);
  }

  @ParameterizedTest
  @MethodSource("cases")
  @Tag("golden")
  void shouldMatchTheTrueGradientsOfTheFixtures(Golden golden) {
    Problem problem = FixtureProblem.of(golden);
    double[] p = golden.doubles("p");
    Closeness.assertClose(
        golden + " gated",
        golden.doubles("true_grad"),
        Objective.gradient(problem, p, true),
        GOLDEN_TOLERANCE,
        1e-14);
    Closeness.assertClose(
        golden + " ungated",
        golden.doubles("true_grad_ungated"),
        Objective.gradient(problem, p, false),
        GOLDEN_TOLERANCE,
        1e-14);
    assertEquals(
        golden.number("objective"), Objective.value(problem, p, true), 1e-12, golden.toString());
  }
}
