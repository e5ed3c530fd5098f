package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Closeness;
import troupe.Golden;

/** Balanced sampling: the assignment, and with what probability it was to be that one. */
@Tag("golden")
class KoolBalancedGoldenTest {
  /** Paths are sums of several differences. */
  private static final double TOLERANCE = 1e-9;

  static Stream<Golden> cases() {
    return Golden.cases("kool_balanced");
  }

  private static BalancedAssignment assignment(Golden golden) {
    double[] value = golden.doubles("log_p");
    double[] gumbel = golden.doubles("gumbel");
    Arrays.setAll(value, i -> value[i] + gumbel[i]);
    int[] capacity_E = new int[golden.integer("num_experts")];
    Arrays.fill(capacity_E, golden.integer("capacity"));
    return new BalancedAssignment(value, capacity_E);
  }

  private static double[] exponentials(double[] gumbel) {
    return Arrays.stream(gumbel).map(g -> Math.exp(-g)).toArray();
  }

  private static RecordedDraws draws(int experts, double[] exponential_TE) {
    return new RecordedDraws(experts, exponential_TE, null, null, null);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldAssignAndExchangeAsBruteForceDoes(Golden golden) {
    int experts = golden.integer("num_experts");
    BalancedAssignment assignment = assignment(golden);
    assertArrayEquals(golden.ints("assignment"), assignment.expert_N());
    assertEquals(golden.number("value"), assignment.value(), TOLERANCE);
    double[] path_EE = assignment.longestPath_EE();
    assertClose(golden, "exchange_edges", assignment.edge_EE());
    assertClose(golden, "exchange_longest_path", path_EE);

    double[] w_NE = golden.doubles("W_minus_i");
    double[] logP = golden.doubles("log_p");
    double[] q_NE = new double[w_NE.length];
    for (int i = 0; i < w_NE.length; i++) {
      int row = i / experts;
      int own = assignment.expert_N()[row];
      double path = path_EE[i % experts * experts + own];
      assertEquals(w_NE[i] - w_NE[row * experts + own], path, TOLERANCE, "W of row " + row);
      q_NE[i] = logP[i] + path;
    }
    for (int from = 0; from < q_NE.length; from += experts) {
      int best = Rows.argmaxFinite(q_NE, from, from + experts);
      Rows.softmax(q_NE, q_NE, q_NE[best], from, from + experts);
    }
    assertClose(golden, "q_conditional", q_NE);
  }

  private static void assertClose(Golden golden, String key, double[] actual) {
    Closeness.assertClose(golden + " " + key, golden.doubles(key), actual, TOLERANCE, TOLERANCE);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldWeighAndEstimateAsTheFixtureDoes(Golden golden) {
    int n = golden.integer("num_tokens");
    int k = golden.integer("num_experts");
    Draws draws = draws(k, exponentials(golden.doubles("gumbel")));
    Routing routing =
        new GumbelMatchingGate(new ConstantBaseline(0), false)
            .route(golden.doubles("log_p"), n, k, draws, true);
    assertArrayEquals(golden.ints("assignment"), routing.expert_S());
    assertClose(golden, "iw", routing.backwardMultiplier_S());

    double[] loss_T = new double[n];
    double[] share_T = new double[n];
    for (int t = 0; t < n; t++) {
      loss_T[t] = golden.doubles("loss")[t * k + routing.expert_S()[t]];
      share_T[t] = 1.0 / n;
    }
    double[] dLogits = new double[n * k];
    routing.backward(
        dLogits, new Feedback(new double[n], new Feedback.Losses(loss_T, share_T, 1), null, n));
    assertClose(golden, "estimate_grad_logits", dLogits);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void shouldBeTheConditionalLawOfAToken(long seed) {
    int n = 6;
    int k = 3;
    int samples = 20_000;
    double[] logits = new Random(seed).doubles(n * k, -1, 1).toArray();
    double[] exponential_TE = new double[n * k];
    CounterDraws draws = new CounterDraws(seed, 0, 0, 0);
    Arrays.setAll(exponential_TE, i -> draws.exponential(i / k, i % k, 0));
    int token = (int) (seed % n);
    int[] count_E = new int[k];
    double[] q_E = new double[k];
    for (int sample = 0; sample < samples; sample++) {
      for (int e = 0; e < k; e++) {
        exponential_TE[token * k + e] = draws.exponential(100 + sample, e, 0);
      }
      Routing routing =
          new GumbelMatchingGate(new ConstantBaseline(0), false)
              .route(logits, n, k, draws(k, exponential_TE), true);
      int z = routing.expert_S()[token];
      count_E[z]++;
      double q = routing.p_TE()[token * k + z] / routing.backwardMultiplier_S()[token];
      // The law does not depend on the noise of the token itself.
      assertEquals(q_E[z] == 0 ? q : q_E[z], q, 1e-9, "seed " + seed);
      q_E[z] = q;
    }
    assertEquals(1, Arrays.stream(q_E).sum(), 1e-9, "seed " + seed);
    for (int e = 0; e < k; e++) {
      double fiveSigma = 5 * Math.sqrt(q_E[e] * (1 - q_E[e]) / samples);
      assertEquals(q_E[e], (double) count_E[e] / samples, fiveSigma, "seed " + seed);
    }
  }
}
