package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static troupe.router.gate.GoldenTolerance.assertGolden;

import java.util.Arrays;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Golden;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;

/**
 * Balance losses of Switch and Mixtral and the z-loss, as Hugging Face and Megatron compute them.
 */
@Tag("golden")
class BalanceLossGoldenTest {
  static Stream<Golden> cases() {
    return Golden.cases("balance_losses");
  }

  private static Routing route(Golden golden) {
    Gate gate = Configs.gate(GateType.SWITCH, 0, Mask.NONE);
    return gate.route(
        golden.doubles("logits"),
        golden.integer("num_tokens"),
        golden.integer("num_experts"),
        null,
        false);
  }

  private static double[] gradient(Routing routing, double[] f_E, double coefficient) {
    double[] dLogits_TE = new double[routing.logits_TE().length];
    BalanceLoss.addGradient(dLogits_TE, routing, f_E, coefficient, routing.tokens());
    return dLogits_TE;
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveSwitchLoss(Golden golden) {
    Routing routing = route(golden);
    int tokens = routing.tokens();
    int[] routed_E = Load.routed(routing);
    double coefficient = golden.number("coeff");
    double[] f_E =
        BalanceLoss.fraction(Arrays.stream(routed_E).asLongStream().toArray(), tokens, 0);
    double value = BalanceLoss.value(f_E, Load.sumP(routing), tokens);

    assertArrayEquals(golden.ints("top1"), routing.expert_S());
    assertArrayEquals(golden.ints("counts_top1"), routed_E);
    assertGolden(golden, "p", routing.p_TE());
    assertGolden(golden, "switch_balance_loss", value);
    assertGolden(golden, "grad_switch_balance", gradient(routing, f_E, 1));
    assertGolden(golden, "switch_balance_loss_times_coeff", coefficient * value);
    assertGolden(golden, "grad_times_coeff", gradient(routing, f_E, coefficient));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveMixtralLossWhenFractionsCountBothSlots(Golden golden) {
    Routing routing = route(golden);
    int tokens = routing.tokens();
    int[] top2_TK = topTwo(routing.p_TE(), tokens, routing.experts());
    long[] routed_E = new long[routing.experts()];
    for (int expert : top2_TK) {
      routed_E[expert]++;
    }
    double[] f_E = BalanceLoss.fraction(routed_E, tokens, 0);

    assertArrayEquals(golden.ints("top2"), top2_TK);
    assertGolden(
        golden, "mixtral_top2_balance_loss", BalanceLoss.value(f_E, Load.sumP(routing), tokens));
    assertGolden(golden, "grad_mixtral_top2_balance", gradient(routing, f_E, 1));
  }

  @ParameterizedTest
  @MethodSource("cases")
  void shouldGiveZLoss(Golden golden) {
    Routing routing = route(golden);
    double[] dLogits_TE = new double[routing.logits_TE().length];
    ZLoss.addGradient(dLogits_TE, routing, 1, routing.tokens());

    assertGolden(golden, "z_loss", ZLoss.sum(routing) / routing.tokens());
    assertGolden(golden, "grad_z_loss", dLogits_TE);
  }

  private static int[] topTwo(double[] p_TE, int tokens, int experts) {
    return IntStream.range(0, tokens)
        .flatMap(
            t ->
                IntStream.range(0, experts)
                    .boxed()
                    .sorted((a, b) -> Double.compare(p_TE[t * experts + b], p_TE[t * experts + a]))
                    .limit(2)
                    .mapToInt(Integer::intValue))
        .toArray();
  }
}
