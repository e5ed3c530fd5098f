package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.GateConfig;

/**
 * S-BASE as Megatron-LM has it: in training a token goes to its k best experts after {@link
 * Sinkhorn}'s iteration has evened out the load of the micro-batch, in evaluation to its k best
 * ones as they are. Nothing is differentiated through the iteration; the multipliers are those of
 * the logits themselves:
 *
 * <pre>
 *   k = 1    sigmoid(logit_D)                     dLogits_D += s sigmoid (1 - sigmoid)
 *   k > 1    p_D, softmax over all experts        the softmax Jacobian; not renormalised
 * </pre>
 *
 * The iteration is bounded by {@code gate.sinkhorn.iterations}: the routing is as good then as the
 * factors are. The load is nearly even, not exactly, so a capacity may still drop.
 *
 * <p>Source: NVIDIA/Megatron-LM@d98e8a6, router.py and moe_utils.py; the method is that of Clark et
 * al. (arXiv 2202.01169). Costs k expert evaluations a token, and O(T E) an iteration. The gradient
 * is exact for the multipliers at the choice made; that of the choice is left out, so it is biased
 * for every loss. No balance loss.
 */
final class SinkhornGate implements Gate {
  private final int k;
  private final GateConfig.Sinkhorn config;

  SinkhornGate(int k, GateConfig.Sinkhorn config) {
    this.k = k;
    this.config = config;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    double[] p_TE = new double[logits_TE.length];
    double[] lnZ_T = new double[tokens];
    for (int t = 0; t < tokens; t++) {
      int from = t * experts;
      int best = Rows.argmaxFinite(logits_TE, from, from + experts);
      Rows.softmax(p_TE, logits_TE, logits_TE[best], from, from + experts);
      lnZ_T[t] = logits_TE[best] - Math.log(p_TE[best]);
    }
    double[] factor_E = new double[experts];
    Arrays.fill(factor_E, 1);
    if (input.training()) {
      factor_E =
          new Sinkhorn(p_TE, lnZ_T, experts, config.tolerance(), config.iterations()).factor_E();
    }
    int slots = Math.min(k, experts);
    int[] wanted_S = best(p_TE, factor_E, tokens, slots);
    if (slots == 1) {
      return ChosenSigmoid.routing(input, p_TE, wanted_S);
    }
    int[] firstSlot_T1 = Routing.evenSlots(tokens, slots);
    Places places = Places.of(input, firstSlot_T1, wanted_S, p_TE);
    return new Shares(Shares.Score.SOFTMAX, Divisor.ONE, 1, p_TE, firstSlot_T1, places.expert_S())
        .routing(input, firstSlot_T1, p_TE, wanted_S, places);
  }

  private static int[] best(double[] p_TE, double[] factor_E, int tokens, int slots) {
    int experts = factor_E.length;
    TopSelection selection = new TopSelection(slots);
    int[] wanted_S = new int[Math.multiplyExact(tokens, slots)];
    for (int t = 0; t < tokens; t++) {
      for (int e = 0; e < experts; e++) {
        selection.offer(factor_E[e] * p_TE[t * experts + e], e);
      }
      System.arraycopy(selection.drainBestFirst(), 0, wanted_S, t * slots, slots);
    }
    return wanted_S;
  }
}
