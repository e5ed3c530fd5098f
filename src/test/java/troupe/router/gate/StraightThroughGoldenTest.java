package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static troupe.router.gate.GoldenTolerance.assertGolden;

import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Golden;

/** Straight-through gates against PyTorch's Gumbel-softmax and the plain estimator written out. */
@Tag("golden")
class StraightThroughGoldenTest {
  static Stream<Golden> cases() {
    return Golden.cases("dense_st");
  }

  private static Routing route(Golden golden, String type) {
    return Configs.parsed("gate.mask=none gate.temperature=" + golden.number("tau") + " " + type)
        .route(
            golden.doubles("logits"),
            golden.integer("num_tokens"),
            golden.integer("num_experts"),
            RecordedDraws.of(golden),
            true);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldChooseAsPyTorchAndLetOnlyTheChosenThrough(Golden golden) {
    for (String type : new String[] {"gate.type=straight-through", "gate.type=st-gumbel"}) {
      Routing routing = route(golden, type);
      int experts = routing.experts();
      double[] f_TED = golden.doubles("expert_out_all");
      int channels = golden.integer("embed_dim");
      double[] y_TD = new double[routing.tokens() * channels];
      for (int slot = 0; slot < routing.slots(); slot++) {
        int token = slot / experts;
        boolean chosen = golden.ints("sample")[token] == routing.expert_S()[slot];
        assertEquals(chosen ? 1 : 0, routing.multiplier_S()[slot]);
        for (int d = 0; d < channels; d++) {
          y_TD[token * channels + d] += routing.multiplier_S()[slot] * f_TED[slot * channels + d];
        }
      }
      assertGolden(golden, "y", y_TD);
      assertGolden(golden, "p", routing.p_TE());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveGradientsOfPyTorch(Golden golden) {
    assertGolden(golden, "grad_logits_st", gradient(golden, "gate.type=straight-through"));
    assertGolden(golden, "grad_logits_stgs", gradient(golden, "gate.type=st-gumbel"));
    SoftmaxGradient soft = (SoftmaxGradient) route(golden, "gate.type=st-gumbel").estimator();
    assertGolden(golden, "soft", soft.q_TE());
  }

  private static double[] gradient(Golden golden, String type) {
    Routing routing = route(golden, type);
    int channels = golden.integer("embed_dim");
    double[] f_TED = golden.doubles("expert_out_all");
    double[] g_TD = golden.doubles("grad_y");
    double[] s_S = new double[routing.slots()];
    for (int i = 0; i < f_TED.length; i++) {
      int slot = i / channels;
      s_S[slot] += f_TED[i] * g_TD[slot / routing.experts() * channels + i % channels];
    }
    double[] dLogits_TE = new double[routing.logits_TE().length];
    routing.backward(dLogits_TE, s_S);
    return dLogits_TE;
  }
}
