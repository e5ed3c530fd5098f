package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static troupe.router.gate.GoldenTolerance.assertGolden;

import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Golden;

/** Decisions, outputs and gradients of the authors' gates, with the draws they made. */
@Tag("golden")
class GateGoldenTest {
  static Stream<Golden> cases() {
    return Stream.of("sparsemixer_v1", "sparsemixer_v1_first", "sparsemixer_v1_inf", "switchgate")
        .flatMap(Golden::cases);
  }

  private static Gate gate(Golden golden) {
    return Configs.authors(golden.text("router"), golden.number("jitter_eps"));
  }

  private static Routing route(Golden golden) {
    return gate(golden)
        .route(
            golden.doubles("logits"),
            golden.integer("num_tokens"),
            golden.integer("num_experts"),
            RecordedDraws.of(golden),
            golden.flag("training"));
  }

  private static double[] ones(int n) {
    double[] ones = new double[n];
    Arrays.fill(ones, 1);
    return ones;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldDecideAsAuthors(Golden golden) {
    Routing routing = route(golden);

    assertArrayEquals(golden.ints("sample"), routing.expert_S());
    assertGolden(golden, "p", routing.p_TE());
    assertGolden(golden, "multiplier", routing.multiplier_S());
    if (golden.has("masked")) {
      boolean[] masked_TE = golden.flags("masked");
      for (int i = 0; i < masked_TE.length; i++) {
        boolean kept = routing.kept_TE().has(i / routing.experts(), i % routing.experts());
        assertEquals(!masked_TE[i], kept, golden + " kept " + i);
      }
    }
    if (golden.has("scale")) {
      assertGolden(golden, "scale", routing.scale_S());
      assertEquals(golden.number("grad_factor"), ((TopOne.Gradient) routing.estimator()).factor());
    }
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveOutputsAndGradientsOfAuthors(Golden golden) {
    Routing routing = route(golden);
    boolean omega = golden.has("omega");
    double[] omega_D = omega ? golden.doubles("omega") : ones(golden.integer("embed_dim"));
    double[] f_TD = golden.doubles("expert_out");
    Combine combine = Combine.of(routing.multiplier_S(), omega_D, f_TD, golden.doubles("grad_y"));
    double[] dLogits_TE = new double[routing.logits_TE().length];
    routing.backward(dLogits_TE, combine.s_T());

    assertGolden(golden, "y", combine.y_TD());
    assertGolden(golden, "grad_expert_out", combine.dF_TD());
    assertGolden(golden, "grad_logits", dLogits_TE);
    if (omega) {
      assertGolden(golden, "grad_omega", combine.dOmega_D());
    }
    assertMaskedAreZero(golden, dLogits_TE);
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveBalanceLossOfAuthors(Golden golden) {
    Routing routing = route(golden);
    int tokens = routing.tokens();
    long[] routed_E = Arrays.stream(Load.routed(routing)).asLongStream().toArray();
    double[] f_E = BalanceLoss.fraction(routed_E, tokens, BalanceLoss.AUTHORS_EPSILON);
    double[] dLogits_TE = new double[routing.logits_TE().length];
    BalanceLoss.addGradient(dLogits_TE, routing, f_E, 1, tokens);

    assertGolden(golden, "balance_loss", BalanceLoss.value(f_E, Load.sumP(routing), tokens));
    assertGolden(golden, "grad_logits_balance", dLogits_TE);
    assertMaskedAreZero(golden, dLogits_TE);
  }

  private static void assertMaskedAreZero(Golden golden, double[] gradient_TE) {
    if (golden.has("masked")) {
      boolean[] masked_TE = golden.flags("masked");
      for (int i = 0; i < masked_TE.length; i++) {
        if (masked_TE[i]) {
          assertEquals(0.0, gradient_TE[i], 0.0, golden + " gradient of masked logit " + i);
        }
      }
    }
  }
}
