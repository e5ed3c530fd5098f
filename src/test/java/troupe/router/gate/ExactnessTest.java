package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Closeness;
import troupe.Golden;
import troupe.router.gate.OneToken.Cell;

/**
 * For which losses an estimator is exact in expectation, and for which it is not, by enumeration.
 */
@Tag("golden")
class ExactnessTest {
  private static final double RELATIVE = 1e-12;
  private static final double FLOOR = 1e-13;

  /** What cannot be a matter of rounding, relative to the largest component. */
  private static final double BIAS = 1e-9;

  /** {@code (v y)^degree}. */
  private record Power(double[] v, int degree) implements OneToken.Loss {
    @Override
    public double value(double[] y) {
      return Math.pow(OneToken.dot(v, y), degree);
    }

    @Override
    public double[] gradient(double[] y) {
      double slope = degree * Math.pow(OneToken.dot(v, y), degree - 1);
      return Arrays.stream(v).map(x -> slope * x).toArray();
    }
  }

  /** A loss whose powers are of the size of one over the outputs of this case. */
  private static Power power(Golden golden, int degree) {
    double[] v = golden.doubles("b");
    double[][] f_ED = golden.matrix("expert_out");
    double[] p = golden.doubles("p");
    double largest =
        IntStream.range(0, p.length)
            .mapToDouble(e -> Math.abs(p[e] * OneToken.dot(v, f_ED[e])))
            .max()
            .orElseThrow();
    return new Power(Arrays.stream(v).map(x -> x / largest).toArray(), degree);
  }

  static Stream<Golden> cases() {
    return Golden.cases("estimator_expectation");
  }

  private static Gate gate(Golden golden, String overrides) {
    return Configs.parsed("gate.jitter=" + golden.number("jitter_eps") + " " + overrides);
  }

  private static double[] sum(double[] a, double[] b) {
    return IntStream.range(0, a.length).mapToDouble(i -> a[i] + b[i]).toArray();
  }

  private static void assertBiased(String what, double[] truth, double[] mean) {
    double largest = Arrays.stream(truth).map(Math::abs).max().orElseThrow();
    double off =
        IntStream.range(0, truth.length)
            .mapToDouble(i -> Math.abs(truth[i] - mean[i]))
            .max()
            .orElseThrow();
    assertTrue(off > BIAS * largest, what + " is exact beyond its order: off by " + off);
  }

  @ParameterizedTest
  @CsvSource({
    "euler, 1",
    "midpoint, 2",
    "heun, 3",
    "simpson, 4",
    "gauss-1, 2",
    "gauss-2, 4",
    "gauss-3, 6",
    "gauss-5, 10",
    "radau-1, 1",
    "radau-2, 3",
    "radau-3, 5",
    "radau-4, 7"
  })
  void shouldBeExactForPolynomialLossesUpToTheOrderAndNotBeyond(String rule, int order) {
    Quadrature quadrature = Quadrature.of(rule);
    List<Cell> nodes = Cell.of(quadrature);
    for (Golden golden : cases().toList()) {
      MaskRule mask = MaskRule.code(golden.number("jitter_eps"));
      Gate half = new GrinGate(mask, QuadratureScale.nabla0(quadrature, false), 1);
      Gate whole = new SparseMixerGate(mask, QuadratureScale.total(quadrature, false), 2);
      for (int degree = 1; degree <= order + 1; degree++) {
        OneToken token = OneToken.of(golden, power(golden, degree));
        double[] nabla0 = token.nabla0(true);
        double[] total = sum(nabla0, token.nabla1());
        double[] ofHalf = token.expectation(half, nodes, Cell.ANY);
        double[] ofWhole = token.expectation(whole, Cell.EVEN, nodes);
        String what = golden + " " + rule + " degree " + degree;
        if (degree <= order) {
          Closeness.assertClose(what + " nabla0", nabla0, ofHalf, RELATIVE, FLOOR);
          Closeness.assertClose(what + " total", total, ofWhole, RELATIVE, FLOOR);
        } else {
          assertBiased(what + " nabla0", nabla0, ofHalf);
          assertBiased(what + " total", total, ofWhole);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldBeUnbiasedForTheLossesOfTheFileWhereTheorySaysSo(Golden golden) {
    OneToken token = OneToken.of(golden);
    double[] truth = golden.doubles("true_grad");
    String ode = "gate.type=sparsemixer-ode gate.ode.full_best=false gate.ode.rule=";
    Closeness.assertClose(
        golden + " nabla0", golden.doubles("nabla0"), token.nabla0(true), RELATIVE, FLOOR);
    Closeness.assertClose(
        golden + " nabla1", golden.doubles("nabla1"), token.nabla1(), RELATIVE, FLOOR);
    List<String> exact =
        switch (golden.text("loss")) {
          case "quadratic" -> List.of("midpoint", "heun", "simpson", "gauss-1", "radau-2");
          case "cubic" -> List.of("heun", "simpson", "gauss-2", "radau-2");
          // No polynomial, but smooth: with enough nodes nothing is left to see.
          case "softplus" -> List.of("gauss-12", "radau-12");
          default -> throw new AssertionError(golden.text("loss"));
        };
    for (String rule : exact) {
      double[] mean =
          token.expectation(gate(golden, ode + rule), Cell.EVEN, Cell.of(Quadrature.of(rule)));
      Closeness.assertClose(golden + " " + rule, truth, mean, RELATIVE, FLOOR);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldHaveReinforceUnbiasedForAnyLossAndBaseline(Golden golden) {
    OneToken token = OneToken.of(golden);
    for (boolean gated : new boolean[] {true, false}) {
      double[] truth = golden.doubles(gated ? "true_grad" : "true_grad_ungated");
      String reinforce = "gate.type=reinforce gate.reinforce.gated=" + gated;
      for (String baseline : List.of("constant", "ema", "leave-one-out")) {
        for (double value : new double[] {0, 0.3, -2}) {
          Gate gate =
              gate(
                  golden,
                  reinforce
                      + " gate.reinforce.baseline="
                      + baseline
                      + " gate.reinforce.value="
                      + value);
          double[] mean = token.expectation(gate, Cell.ANY, Cell.ANY, value);
          String what = golden + " gated " + gated + " " + baseline + " " + value;
          Closeness.assertClose(what, truth, mean, RELATIVE, FLOOR);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldHaveStraightThroughOfFirstAndReinMaxOfSecondOrder(Golden golden) {
    Gate straight = gate(golden, "gate.type=straight-through");
    Gate reinMax = gate(golden, "gate.type=reinmax");
    for (int degree = 1; degree <= 3; degree++) {
      OneToken token = OneToken.of(golden, power(golden, degree));
      double[] truth = token.nabla0(false);
      double[] first = token.expectation(straight, Cell.ANY, Cell.ANY);
      double[] second = token.expectation(reinMax, Cell.ANY, Cell.ANY);
      assertOrder(golden + " straight-through degree " + degree, degree <= 1, truth, first);
      assertOrder(golden + " reinmax degree " + degree, degree <= 2, truth, second);
    }
    if (golden.text("loss").equals("quadratic")) {
      double[] mean = OneToken.of(golden).expectation(reinMax, Cell.ANY, Cell.ANY);
      Closeness.assertClose(
          golden + " reinmax", golden.doubles("true_grad_ungated"), mean, RELATIVE, FLOOR);
    }
  }

  private static void assertOrder(String what, boolean exact, double[] truth, double[] mean) {
    if (exact) {
      Closeness.assertClose(what, truth, mean, RELATIVE, FLOOR);
    } else {
      assertBiased(what, truth, mean);
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldHaveTheExactGradientWhenDense(Golden golden) {
    OneToken token = OneToken.of(golden);
    Gate dense = gate(golden, "gate.type=dense");
    double[] actual = token.outcome(dense, null, true).gradient();
    double[] expected = new double[actual.length];
    double step = 1e-5;
    for (int j = 0; j < expected.length; j++) {
      expected[j] =
          (denseLoss(token, dense, j, step) - denseLoss(token, dense, j, -step)) / (2 * step);
    }
    Closeness.assertClose(golden + " dense", expected, actual, 1e-6, 1e-8);
  }

  private static double denseLoss(OneToken token, Gate dense, int j, double step) {
    double[] logits = token.logits().clone();
    logits[j] += step;
    OneToken moved = new OneToken(logits, token.p(), token.f_ED(), token.loss());
    return token.loss().value(moved.outcome(dense, null, true).y());
  }
}
