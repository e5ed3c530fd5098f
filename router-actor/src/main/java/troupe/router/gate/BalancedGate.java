package troupe.router.gate;

import java.util.Arrays;

/**
 * No gate at all: token t goes to expert t mod E at full weight, so that every expert has the same
 * number of rows whatever the logits are. What a benchmark compares a real router with;
 * probabilities are even, so that backward has as much to do as for any other gate.
 */
final class BalancedGate implements Gate {
  @Override
  public int topK() {
    return 1;
  }

  @Override
  public Routing route(double[] logits_TE, int tokens, int experts, Draws draws, boolean training) {
    Rows.checkShape(logits_TE, tokens, experts);
    double[] p_TE = new double[tokens * experts];
    Arrays.fill(p_TE, 1.0 / experts);
    int[] expert_T = new int[tokens];
    double[] one_T = new double[tokens];
    Arrays.fill(one_T, 1);
    for (int t = 0; t < tokens; t++) {
      expert_T[t] = t % experts;
    }
    return new Routing(
        tokens, experts, 1, logits_TE, p_TE, null, expert_T, one_T, one_T.clone(), null, 1);
  }

  @Override
  public void backward(double[] dLogits_TE, Routing routing, double[] s_T) {
    RouterGradient.addTopOne(dLogits_TE, routing, s_T);
  }
}
