package troupe.router.gate;

import java.util.Arrays;

/**
 * How gates that sample route in evaluation: to the best expert, whole, or at its probability where
 * outputs are gated. Nothing is sampled, so no score is in the gradient.
 */
final class BestExpert {
  private BestExpert() {}

  static Routing routing(GateInput input, double[] p_TE, int[] best_T, boolean gated) {
    Routing atProbability =
        TopOne.routing(input, input.logits_TE(), p_TE, null, best_T, TopOne.FULL, null, 1);
    if (gated) {
      return atProbability;
    }
    double[] one_T = new double[input.tokens()];
    Arrays.fill(one_T, 1);
    return new Routing(
        input.tokens(),
        input.experts(),
        atProbability.firstSlot_T1(),
        input.logits_TE(),
        p_TE,
        null,
        best_T,
        atProbability.expert_S(),
        atProbability.placed_S(),
        one_T,
        one_T,
        one_T,
        null,
        Estimator.NONE);
  }
}
