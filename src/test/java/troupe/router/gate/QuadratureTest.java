package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Closeness;

class QuadratureTest {
  /** As many roundings as there are nodes, with room. */
  private static final double TOLERANCE = 1e-14;

  static Stream<String> rules() {
    return Stream.concat(
        Stream.of("euler", "midpoint", "heun", "heun-published", "simpson"),
        IntStream.rangeClosed(1, 99).boxed().flatMap(n -> Stream.of("gauss-" + n, "radau-" + n)));
  }

  /** {@code sum weight (2 node - 1)^degree} less the integral: powers that do not die out. */
  private static double error(Quadrature rule, int degree) {
    double sum = 0;
    for (int i = 0; i < rule.nodes().length; i++) {
      sum += rule.weights()[i] * Math.pow(2 * rule.nodes()[i] - 1, degree);
    }
    return sum - (degree % 2 == 0 ? 1.0 / (degree + 1) : 0);
  }

  @ParameterizedTest
  @MethodSource("rules")
  void shouldBeExactUpToTheDegree(String name) {
    Quadrature rule = Quadrature.of(name);
    for (int degree = 0; degree <= rule.degree(); degree++) {
      assertEquals(0, error(rule, degree), TOLERANCE, name + " degree " + degree);
    }
  }

  @ParameterizedTest
  @CsvSource({
    "euler, 0", "midpoint, 1", "heun, 2", "heun-published, 0", "simpson, 3", "gauss-1, 1",
    "gauss-2, 3", "gauss-5, 9", "gauss-9, 17", "radau-1, 0", "radau-2, 2", "radau-5, 8",
    "radau-9, 16"
  })
  void shouldNotBeExactBeyondTheDegree(String name, int degree) {
    Quadrature rule = Quadrature.of(name);
    assertEquals(degree, rule.degree());
    double error = Math.abs(error(rule, degree + 1));
    assertTrue(error > 1e-7, name + ": error " + error);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 5, 8})
  void shouldHaveTheErrorOfGaussAtTheFirstDegreeItMisses(int n) {
    double known = 1;
    for (int i = 1; i <= n; i++) {
      // (n!)^4 / ((2n + 1) ((2n)!)^2) * 4^n, of u -> (2u - 1)^2n.
      known *= 4 * Math.pow(i, 4) / Math.pow(2.0 * i * (2 * i - 1), 2);
    }
    known /= 2 * n + 1;
    double error = -error(Quadrature.gauss(n), 2 * n);
    assertEquals(known, error, 1e-9 * known + TOLERANCE);
  }

  @ParameterizedTest
  @MethodSource("rules")
  void shouldHaveAscendingNodesAndPositiveWeightsThatSumToOne(String name) {
    Quadrature rule = Quadrature.of(name);
    double before = -1;
    for (double node : rule.nodes()) {
      assertTrue(node > before && node >= 0 && node <= 1, name + ": node " + node);
      before = node;
    }
    assertTrue(Arrays.stream(rule.weights()).allMatch(w -> w > 0), name);
    assertEquals(1, Arrays.stream(rule.weights()).sum(), TOLERANCE, name);
  }

  @Test
  void shouldMatchRulesThatAreKnown() {
    double third = Math.sqrt(1.0 / 3);
    double six = Math.sqrt(6);
    assertRule("gauss-2", new double[] {(1 - third) / 2, (1 + third) / 2}, new double[] {0.5, 0.5});
    assertRule(
        "gauss-3",
        new double[] {(1 - Math.sqrt(0.6)) / 2, 0.5, (1 + Math.sqrt(0.6)) / 2},
        new double[] {5.0 / 18, 8.0 / 18, 5.0 / 18});
    assertRule("radau-1", new double[] {1}, new double[] {1});
    assertRule("radau-2", Quadrature.HEUN.nodes(), Quadrature.HEUN.weights());
    assertRule(
        "radau-3",
        new double[] {(4 - six) / 10, (4 + six) / 10, 1},
        new double[] {(16 - six) / 36, (16 + six) / 36, 1.0 / 9});
  }

  private static void assertRule(String name, double[] nodes, double[] weights) {
    Quadrature rule = Quadrature.of(name);
    Closeness.assertClose(name + " nodes", nodes, rule.nodes(), 1e-15, 1e-16);
    Closeness.assertClose(name + " weights", weights, rule.weights(), 2e-15, 0);
  }

  @ParameterizedTest
  @ValueSource(strings = {"euler", "heun", "heun-published", "simpson", "gauss-4", "radau-3"})
  void shouldDrawNodesAsOftenAsTheyWeigh(String name) {
    Quadrature rule = Quadrature.of(name);
    int draws = 100_000;
    int[] count = new int[rule.nodes().length];
    for (int i = 0; i < draws; i++) {
      count[Arrays.binarySearch(rule.nodes(), rule.node((i + 0.5) / draws))]++;
    }
    for (int i = 0; i < count.length; i++) {
      assertEquals(rule.weights()[i], (double) count[i] / draws, 1.5 / draws, name + " node " + i);
    }
    assertEquals(rule.nodes()[0], rule.node(0));
  }

  @Test
  void shouldKeepFullScaleOnlyAboveThreeQuartersAsPublished() {
    assertEquals(0.3333, Quadrature.HEUN_PUBLISHED.node(0.75));
    assertEquals(1, Quadrature.HEUN_PUBLISHED.node(Math.nextUp(0.75)));
  }
}
