package troupe.router.gate;

import java.util.Arrays;

/**
 * No gate at all: token t goes to expert t mod E at full weight, so that every expert has the same
 * number of rows whatever the logits are. What a benchmark compares a real router with;
 * probabilities are even, so that backward has as much to do as for any other gate.
 */
final class BalancedGate implements Gate {
  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] p_TE = new double[tokens * experts];
    Arrays.fill(p_TE, 1.0 / experts);
    int[] expert_T = new int[tokens];
    for (int t = 0; t < tokens; t++) {
      expert_T[t] = t % experts;
    }
    int[] firstSlot_T1 = Routing.evenSlots(tokens, 1);
    Places places = Places.of(input, firstSlot_T1, expert_T, p_TE);
    return Routing.full(
        input,
        firstSlot_T1,
        p_TE,
        null,
        expert_T,
        places,
        Routing.ones(tokens),
        new TopOne.Gradient(1));
  }
}
