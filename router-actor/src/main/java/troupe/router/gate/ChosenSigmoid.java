package troupe.router.gate;

import troupe.core.math.Sigmoid;

/**
 * What BASE and Sinkhorn's top-1 share: one expert D a token, whatever chose it, at {@code alpha =
 * sigmoid(logit_D)}. The choice is detached, the multiplier is not:
 *
 * <pre>  dLogits_D += s * alpha * (1 - alpha)</pre>
 */
enum ChosenSigmoid implements Estimator {
  GRADIENT;

  /** Gives out places and forms the routing; {@code p_TE} says what tokens like. */
  static Routing routing(GateInput input, double[] p_TE, int[] wanted_T) {
    int tokens = input.tokens();
    int[] firstSlot_T1 = Routing.evenSlots(tokens, 1);
    Places places = Places.of(input, firstSlot_T1, wanted_T, p_TE);
    int[] expert_T = places.expert_S();
    double[] alpha_T = new double[tokens];
    for (int t = 0; t < tokens; t++) {
      alpha_T[t] = Sigmoid.of(input.logits_TE()[t * input.experts() + expert_T[t]]);
    }
    return Routing.full(input, firstSlot_T1, p_TE, null, wanted_T, places, alpha_T, GRADIENT);
  }

  @Override
  public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
    int experts = routing.experts();
    double[] s_T = feedback.s_S();
    for (int t = 0; t < routing.tokens(); t++) {
      double alpha = routing.multiplier_S()[t];
      dLogits_TE[t * experts + routing.expert_S()[t]] += s_T[t] * alpha * (1 - alpha);
    }
  }
}
