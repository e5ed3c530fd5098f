package troupe.router.gate;

import java.util.Arrays;

/**
 * No gate at all: slot s goes to expert s mod E at full weight, so that every expert has the same
 * number of rows whatever the logits are. What a benchmark compares a real router with;
 * probabilities are even, and backward has as much to do as for any other gate.
 */
final class BalancedGate implements Gate {
  private final int k;

  BalancedGate(int k) {
    this.k = k;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] p_TE = new double[tokens * experts];
    Arrays.fill(p_TE, 1.0 / experts);
    int[] expert_S = new int[tokens * k];
    Arrays.setAll(expert_S, slot -> slot % experts);
    int[] firstSlot_T1 = Routing.evenSlots(tokens, k);
    Places places = Places.of(input, firstSlot_T1, expert_S, p_TE);
    return Routing.full(
        input,
        firstSlot_T1,
        p_TE,
        null,
        expert_S,
        places,
        Routing.ones(expert_S.length),
        k == 1
            ? new TopOne.Gradient(1)
            : new Shares(
                Shares.Score.SOFTMAX, Divisor.SUM, k, p_TE, firstSlot_T1, places.expert_S()));
  }
}
