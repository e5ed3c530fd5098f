package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static troupe.router.gate.GoldenTolerance.assertGolden;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Golden;

/** Rounds, outputs and gradients of the published SparseMixer-v2 and of Phi-3.5-MoE. */
@Tag("golden")
class GrinGoldenTest {
  static Stream<Golden> cases() {
    return Stream.of("sparsemixer_v2_top1", "sparsemixer_v2_top2", "phimoe_top2")
        .flatMap(Golden::cases);
  }

  private static Routing route(Golden golden) {
    boolean training = golden.flag("training");
    return Configs.parsed(
            "gate.type=sparsemixer-v2 gate.ode.rule=heun-published gate.top_k="
                + golden.integer("top_k")
                + " gate.jitter="
                + golden.number("jitter_eps"))
        .route(
            golden.doubles("logits"),
            golden.integer("num_tokens"),
            golden.integer("num_experts"),
            training ? RecordedRounds.of(golden) : null,
            training);
  }

  /** What the slots of one round say, token by token. */
  private static double[] ofRound(double[] x_S, int k, int round) {
    return IntStream.range(0, x_S.length / k).mapToDouble(t -> x_S[t * k + round]).toArray();
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldDecideAsPublished(Golden golden) {
    Routing routing = route(golden);
    int k = golden.integer("top_k");
    int experts = golden.integer("num_experts");
    RoundGradient gradient = (RoundGradient) routing.estimator();
    double[] p_E = new double[experts];
    List<Golden> rounds = golden.children("rounds");
    assertEquals(k, rounds.size());
    for (int r = 0; r < k; r++) {
      Golden round = rounds.get(r);
      boolean[] masked_TE = round.flags("masked");
      double[] p_TE = new double[masked_TE.length];
      for (int t = 0; t < routing.tokens(); t++) {
        assertEquals(round.ints("sample")[t], routing.expert_S()[t * k + r], golden + " sample");
        gradient.storeRow(p_E, routing, t * k + r);
        System.arraycopy(p_E, 0, p_TE, t * experts, experts);
      }
      assertGolden(round, "p", p_TE);
      assertGolden(round, "multiplier", ofRound(routing.multiplier_S(), k, r));
      if (round.has("scale")) {
        assertGolden(round, "scale", ofRound(routing.scale_S(), k, r));
      }
      for (int i = 0; i < masked_TE.length; i++) {
        assertEquals(0, masked_TE[i] ? p_TE[i] : 0, golden + " p of masked " + i);
        if (r == 0) {
          boolean kept = routing.kept_TE().has(i / experts, i % experts);
          assertEquals(!masked_TE[i], kept, golden + " kept " + i);
        }
      }
    }
    if (golden.has("unmasked_softmax")) {
      assertGolden(golden, "unmasked_softmax", routing.p_TE());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveOutputsAndGradientsAsPublished(Golden golden) {
    Routing routing = route(golden);
    int k = golden.integer("top_k");
    int channels = golden.integer("embed_dim");
    double[] one_D = new double[channels];
    Arrays.fill(one_D, 1);
    double[] g_TD = golden.doubles("grad_y");
    double[] g_SD = new double[g_TD.length * k];
    for (int i = 0; i < g_SD.length; i++) {
      g_SD[i] = g_TD[i / channels / k * channels + i % channels];
    }
    Combine combine = Combine.of(routing.multiplier_S(), one_D, golden.doubles("expert_out"), g_SD);
    double[] y_TD = new double[g_TD.length];
    for (int i = 0; i < g_SD.length; i++) {
      y_TD[i / channels / k * channels + i % channels] += combine.y_TD()[i];
    }
    double[] dLogits_TE = new double[routing.logits_TE().length];
    routing.backward(dLogits_TE, combine.s_T());

    assertGolden(golden, "y", y_TD);
    assertGolden(golden, "grad_expert_out", combine.dF_TD());
    assertGolden(golden, "grad_logits", dLogits_TE);
  }
}
