package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Closeness;
import troupe.Golden;
import troupe.core.config.GateConfig;

/** Sinkhorn's iteration against Megatron's, and where Megatron's overflows. */
class SinkhornTest {
  static Stream<Golden> sinkhorns() {
    return Golden.cases("other_gates").filter(c -> c.text("gate").equals("megatron_sinkhorn"));
  }

  private static Sinkhorn of(double[] logits_TE, int experts, double tolerance, int iterations) {
    double[] p_TE = new double[logits_TE.length];
    double[] lnZ_T = new double[logits_TE.length / experts];
    for (int t = 0; t < lnZ_T.length; t++) {
      int best = Rows.argmaxFinite(logits_TE, t * experts, (t + 1) * experts);
      Rows.softmax(p_TE, logits_TE, logits_TE[best], t * experts, (t + 1) * experts);
      lnZ_T[t] = logits_TE[best] - Math.log(p_TE[best]);
    }
    return new Sinkhorn(p_TE, lnZ_T, experts, tolerance, iterations);
  }

  private static double[] values(Sinkhorn sinkhorn, int tokens, int experts) {
    double[] value_TE = new double[tokens * experts];
    Arrays.setAll(value_TE, i -> sinkhorn.value(i / experts, i % experts));
    return value_TE;
  }

  @ParameterizedTest
  @MethodSource("sinkhorns")
  void shouldIterateAsMegatronDoes(Golden golden) {
    int tokens = golden.integer("num_tokens");
    int experts = golden.integer("num_experts");
    double[] logits_TE = golden.doubles("cost");
    Sinkhorn sinkhorn = of(logits_TE, experts, golden.number("tol"), 1000);
    GoldenTolerance.assertGolden(golden, "out", values(sinkhorn, tokens, experts));

    SinkhornGate gate = new SinkhornGate(1, new GateConfig.Sinkhorn(golden.number("tol"), 1000));
    assertArrayEquals(
        golden.ints("top1"), gate.route(logits_TE, tokens, experts, null, true).expert_S());
  }

  @ParameterizedTest
  @ValueSource(doubles = {-2, 0, 5, 200})
  void shouldDoWhatTheFormulaSays(double shift) {
    int tokens = 40;
    int experts = 7;
    Random random = new Random(1);
    double[] logits_TE = random.doubles(tokens * experts, -3, 3).map(v -> v + shift).toArray();
    double[] d0 = new double[tokens];
    double[] d1 = new double[experts];
    Arrays.fill(d1, 1);
    double change = 1;
    while (change > 1e-4) {
      double[] sum = new double[experts];
      for (int t = 0; t < tokens; t++) {
        double row = 0;
        for (int e = 0; e < experts; e++) {
          row += d1[e] * Math.exp(logits_TE[t * experts + e]);
        }
        d0[t] = 1.0 / tokens / (row + 1e-8);
        for (int e = 0; e < experts; e++) {
          sum[e] += d0[t] * Math.exp(logits_TE[t * experts + e]);
        }
      }
      change = 0;
      for (int e = 0; e < experts; e++) {
        double next = 1.0 / experts / (sum[e] + 1e-8);
        change += Math.abs(next - d1[e]) / experts;
        d1[e] = next;
      }
    }
    double[] expected_TE = new double[tokens * experts];
    Arrays.setAll(expected_TE, i -> d1[i % experts] * Math.exp(logits_TE[i]) * d0[i / experts]);
    double[] actual_TE = values(of(logits_TE, experts, 1e-4, 1000), tokens, experts);
    // A sum of logits and logarithms of 300 has four digits less than the softmax.
    Closeness.assertClose("seed 1", expected_TE, actual_TE, 1e-10, 1e-300);
  }

  @ParameterizedTest
  @ValueSource(doubles = {-12, -300, -1e6})
  void shouldNotCreepWhenLogitsAreFarBelowZero(double shift) {
    int tokens = 40;
    int experts = 7;
    double[] logits_TE = new Random(1).doubles(tokens * experts, -3, 3).toArray();
    double[] shifted_TE = Arrays.stream(logits_TE).map(v -> v + shift).toArray();
    Sinkhorn sinkhorn = of(shifted_TE, experts, 1e-4, 1000);
    assertTrue(sinkhorn.iterations() < 20, "iterations " + sinkhorn.iterations());
    Closeness.assertClose(
        "seed 1",
        values(of(logits_TE, experts, 1e-4, 1000), tokens, experts),
        values(sinkhorn, tokens, experts),
        1e-4,
        0);
  }

  @Test
  void shouldNotCreepWhenSomeExpertsAreRarelyLiked() {
    int tokens = 512;
    int experts = 128;
    Random random = new Random(3);
    double[] popularity_E = random.doubles(experts, -4, 4).toArray();
    double[] logits_TE = new double[tokens * experts];
    Arrays.setAll(logits_TE, i -> random.nextGaussian() + popularity_E[i % experts]);
    Sinkhorn sinkhorn = of(logits_TE, experts, 1e-4, 1000);
    assertTrue(sinkhorn.iterations() < 20, "iterations " + sinkhorn.iterations());
    double[] sum_E = new double[experts];
    for (int i = 0; i < logits_TE.length; i++) {
      sum_E[i % experts] += sinkhorn.value(i / experts, i % experts);
    }
    for (double sum : sum_E) {
      assertEquals(1.0 / experts, sum, 0.01 / experts, "seed 3");
    }
  }

  @Test
  void shouldBalanceLogitsThatOverflowAnExponential() {
    int tokens = 60;
    int experts = 4;
    Random random = new Random(2);
    double[] logits_TE = random.doubles(tokens * experts, -1, 1).map(v -> 5000 + v).toArray();
    double[] value_TE = values(of(logits_TE, experts, 1e-9, 1000), tokens, experts);
    double[] sum_E = new double[experts];
    for (int i = 0; i < value_TE.length; i++) {
      sum_E[i % experts] += value_TE[i];
    }
    for (double sum : sum_E) {
      assertEquals(0.25, sum, 1e-6, "seed 2");
    }
    double[] far_TE = random.doubles(tokens * experts, -1e300, 1e300).toArray();
    for (double value : values(of(far_TE, experts, 1e-4, 1000), tokens, experts)) {
      assertTrue(Double.isFinite(value), "value " + value);
    }
  }

  @Test
  void shouldStopAtTheBound() {
    double[] logits_TE = {9, 0, 8, 0, 7, 0, 3, 0};
    assertEquals(2, of(logits_TE, 2, 1e-300, 2).iterations());
    assertTrue(of(logits_TE, 2, 1e-4, 1000).iterations() < 1000);
  }
}
