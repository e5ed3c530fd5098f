package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import troupe.core.config.GateConfig.JitterOn;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig.DropOrder;

class BalancedGateTest {
  private static final double[] LOGITS = {9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0, 9, 0, 0};

  @Test
  void shouldGiveEveryExpertAsManyTokensWhateverTheLogits() {
    Gate gate = Configs.gate(GateType.BALANCED, 0.1, Mask.CODE);
    for (boolean training : new boolean[] {false, true}) {
      GateInput input = GateInput.of(LOGITS, 6, 3, null, training);
      Routing routing = gate.route(input.with(new Capacity(1, 0, DropOrder.POSITION)));
      assertArrayEquals(new int[] {0, 1, 2, 0, 1, 2}, routing.expert_S());
      assertArrayEquals(new double[] {1, 1, 1, 1, 1, 1}, routing.multiplier_S());
      DispatchPlan plan = DispatchPlan.of(routing);
      assertArrayEquals(new int[] {0, 2, 4, 6}, plan.offset_E1());
      assertArrayEquals(new int[] {0, 3, 1, 4, 2, 5}, plan.tokenOfRow_R());
    }
  }

  @Test
  void shouldGiveEveryExpertAsManySlots() {
    Gate gate =
        Gates.of(
            Configs.config(GateType.BALANCED, 0.1, JitterOn.LOGITS, Mask.CODE)
                .with(GateType.BALANCED, 2));
    Routing routing = gate.route(GateInput.of(LOGITS, 6, 3, null, true));
    assertArrayEquals(new int[] {0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}, routing.expert_S());
    double[] ones = new double[12];
    Arrays.fill(ones, 1);
    assertArrayEquals(ones, routing.multiplier_S());
    assertArrayEquals(new int[] {0, 4, 8, 12}, DispatchPlan.of(routing).offset_E1());
  }

  @Test
  void shouldHaveTheGradientOfSharesWhereThereAreSeveral() {
    Gate gate =
        Gates.of(
            Configs.config(GateType.BALANCED, 0.1, JitterOn.LOGITS, Mask.CODE)
                .with(GateType.BALANCED, 2));
    double[] dLogits_TE = new double[3];
    gate.route(new double[3], 1, 3, null, true).backward(dLogits_TE, new double[] {8, -4});
    assertArrayEquals(new double[] {6, -6, 0}, dLogits_TE, 1e-12);
  }

  @Test
  void shouldHaveTheGradientOfAnEvenSoftmax() {
    Gate gate = Configs.gate(GateType.BALANCED, 0.1, Mask.CODE);
    double[] dLogits_TE = new double[4];
    gate.route(new double[4], 2, 2, null, true).backward(dLogits_TE, new double[] {8, -4});
    assertArrayEquals(new double[] {2, -2, 1, -1}, dLogits_TE);
  }
}
