package troupe.coordinator.lab;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Golden;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Activation;

/** Means over draws, through the gates. */
class MeterTest {
  private static final RunConfig BASE = ConfigLoader.parse("", List.of());
  private static final int DRAWS = 4000;

  /** The draws are always the same, so that what passes once passes for ever. */
  private static final double STANDARD_ERRORS = 4.5;

  static Stream<Golden> cases() {
    return Golden.cases("estimator_expectation");
  }

  private static Contender contender(String arm, int experts, double jitter) {
    return Contender.of(BASE, Arm.parse("lab.estimators.gates", arm), experts, jitter);
  }

  @ParameterizedTest
  @MethodSource("cases")
  @Tag("golden")
  void shouldMatchExpectationsOfTheFixtures(Golden golden) {
    Map<String, String> keys =
        Map.of(
            "sparsemixer-1st", "sm_first",
            "sparsemixer-2nd", "sm_second_always",
            "sparsemixer", "sm_balanced_author",
            "sparsemixer-inf", "sm_inf_author");
    Problem problem = FixtureProblem.of(golden);
    keys.forEach(
        (gate, key) -> {
          Contender contender = contender(gate, problem.experts(), golden.number("jitter_eps"));
          assertMean(
              golden + " " + gate, golden.child("expectation").doubles(key), contender, problem);
        });
  }

  private static void assertMean(
      String what, double[] expected, Contender contender, Problem problem) {
    double[] sum = new double[expected.length];
    double[] squares = new double[expected.length];
    for (int n = 0; n < DRAWS; n++) {
      double[] g = contender.pass(problem, 7, n).dLogits_TE();
      for (int i = 0; i < g.length; i++) {
        sum[i] += g[i];
        squares[i] += g[i] * g[i];
      }
    }
    for (int i = 0; i < expected.length; i++) {
      double mean = sum[i] / DRAWS;
      double error = Math.sqrt(Math.max(0, squares[i] / DRAWS - mean * mean) / DRAWS);
      assertEquals(expected[i], mean, STANDARD_ERRORS * error + 1e-12, what + " logit " + i);
    }
  }

  @Test
  void shouldFindNoBiasWhereTheMidpointIsExact() {
    Measurement exact = measure("sparsemixer-2nd", Problem.Kind.QUADRATIC);
    assertTrue(exact.ownBias() < 0.03, exact.toString());
    assertTrue(exact.ownCosine() > 0.999, exact.toString());
    assertEquals(1, exact.scale(), 0.03);
    assertTrue(exact.variance() > 0.1, exact.toString());
  }

  @Test
  void shouldFindTheBiasOfTheBestExpertsException() {
    Measurement biased = measure("sparsemixer", Problem.Kind.QUADRATIC);
    assertTrue(biased.ownBias() > 0.1, biased.toString());
  }

  @Test
  void shouldSeeWhatAMaskHides() {
    Measurement masked = measure("sparsemixer-2nd", Problem.Kind.SOFTPLUS);
    Measurement open =
        measure("all: gate.type=sparsemixer-2nd gate.mask=none", Problem.Kind.SOFTPLUS);
    assertTrue(masked.alive() < 0.6, masked.toString());
    assertTrue(masked.wholeCosine() < 0.7, masked.toString());
    assertEquals(1, open.alive());
    assertTrue(open.wholeCosine() > 0.99, open.toString());
    assertEquals(open.ownBias(), open.wholeBias(), 1e-12);
    assertEquals(1, open.evaluations());
  }

  @Test
  void shouldFindNoVarianceWithoutDraws() {
    Meter meter = new Meter();
    Problem problem = Problem.random(Problem.Kind.LAYER, 8, 4, Activation.GELU, 1);
    meter.add(problem, contender("switch", 4, 0), 5, 1);
    Measurement measured = meter.measurement("switch", "layer", 4, 0);
    assertEquals(0, measured.variance(), 1e-12);
    assertTrue(measured.ownBias() > 0.05, measured.toString());
    assertEquals(measured.wholeCosine(), measured.drawCosine(), 1e-12);
  }

  private static Measurement measure(String gate, Problem.Kind kind) {
    Meter meter = new Meter();
    meter.add(Problem.random(kind, 64, 4, Activation.GELU, 1), contender(gate, 4, 0.1), 2000, 1);
    return meter.measurement(gate, kind.name(), 4, 0.1);
  }
}
