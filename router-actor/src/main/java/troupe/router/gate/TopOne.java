package troupe.router.gate;

/**
 * What gates share that send a token to one expert at {@code a * p[expert]}: {@code a} a detached
 * scale, p a softmax.
 */
final class TopOne {
  private TopOne() {}

  /**
   * Gives out places and forms the routing.
   *
   * @param used_TE the logits after jitter
   * @param wanted_T the chosen expert of each token
   * @param scale_T {@code a} of each token
   * @param u_TE jitter of the logits, or {@code null}
   * @param gradientFactor kappa, see {@link Gradient}
   */
  static Routing routing(
      GateInput input,
      double[] used_TE,
      double[] p_TE,
      Kept kept_TE,
      int[] wanted_T,
      double[] scale_T,
      double[] u_TE,
      double gradientFactor) {
    int tokens = input.tokens();
    int[] firstSlot_T1 = Routing.evenSlots(tokens, 1);
    Places places = Places.of(input, firstSlot_T1, wanted_T, p_TE);
    int[] expert_T = places.expert_S();
    double[] multiplier_T = new double[tokens];
    for (int t = 0; t < tokens; t++) {
      multiplier_T[t] = scale_T[t] * p_TE[t * input.experts() + expert_T[t]];
    }
    return new Routing(
        tokens,
        input.experts(),
        firstSlot_T1,
        used_TE,
        p_TE,
        kept_TE,
        wanted_T,
        expert_T,
        places.placed_S(),
        scale_T,
        multiplier_T,
        multiplier_T,
        u_TE,
        new Gradient(gradientFactor));
  }

  /**
   * The softmax Jacobian at the expert. Per token, with D that expert, m = p_D and u the logit
   * jitter (1 where there was none):
   *
   * <pre>  dLogits_j += kappa * s * m * (1[j = D] - p_j) * u_j</pre>
   *
   * Masked experts have p = 0 and get exactly zero; so does a token with a single kept expert. The
   * scale {@code a} is not in it: it acts through {@code s}, which was taken at the scaled output.
   *
   * @param factor the estimator's kappa: 2 where SparseMixer v1 trains, else 1
   */
  record Gradient(double factor) implements Estimator {
    @Override
    public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
      int experts = routing.experts();
      double[] p_TE = routing.p_TE();
      double[] u_TE = routing.logitScale_TE();
      int[] expert_T = routing.expert_S();
      double[] s_T = feedback.s_S();
      for (int t = 0; t < routing.tokens(); t++) {
        int from = t * experts;
        int chosen = from + expert_T[t];
        double c = factor * s_T[t] * p_TE[chosen];
        if (c == 0) {
          continue;
        }
        double before = dLogits_TE[chosen];
        double own = c * (1 - p_TE[chosen]);
        if (u_TE == null) {
          Rows.subtract(dLogits_TE, c, p_TE, from, from + experts);
          dLogits_TE[chosen] = before + own;
        } else {
          Rows.subtract(dLogits_TE, c, p_TE, u_TE, from, from + experts);
          dLogits_TE[chosen] = before + own * u_TE[chosen];
        }
      }
    }
  }
}
