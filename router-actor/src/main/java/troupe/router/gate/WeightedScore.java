package troupe.router.gate;

/**
 * The score function's estimator of the gradient of the logits, token by token with a weight w that
 * makes up for how its expert z was drawn or whether it was skipped:
 *
 * <pre>  dLogits_j += w ((loss - b) share + m s p_z) (1[j = z] - p_j)</pre>
 *
 * where loss is the mean from the token to the end of its sequence, share the part of the step's
 * loss that it is, and m = 1 where outputs are multiplied by their probability (gated), else 0. The
 * same w is in the routing's backward multiplier: what experts learn has it too.
 *
 * @param weight_T zero for tokens that were skipped
 * @param state of the baseline when the routing was made
 */
record WeightedScore(double[] weight_T, LossBaseline baseline, double[] state, boolean gated)
    implements Estimator {

  /**
   * A routing of one slot a token.
   *
   * @param expert_T the expert of each token, wanted and got
   */
  Routing routing(GateInput input, double[] p_TE, int[] expert_T, boolean[] placed_T) {
    int tokens = input.tokens();
    double[] multiplier_T = Routing.ones(tokens);
    double[] weighted_T = new double[tokens];
    for (int t = 0; t < tokens; t++) {
      if (gated) {
        multiplier_T[t] = p_TE[t * input.experts() + expert_T[t]];
      }
      weighted_T[t] = weight_T[t] * multiplier_T[t];
    }
    Places places = new Places(expert_T, placed_T);
    return Routing.full(
            input, Routing.evenSlots(tokens, 1), p_TE, null, expert_T, places, multiplier_T, this)
        .with(multiplier_T, weighted_T, this);
  }

  @Override
  public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
    int experts = routing.experts();
    double[] p_TE = routing.p_TE();
    Feedback.Losses losses = feedback.losses();
    double[] b_T = baseline.perToken(losses, state);
    for (int t = 0; t < routing.tokens(); t++) {
      if (weight_T[t] == 0) {
        continue;
      }
      int from = t * experts;
      int chosen = from + routing.expert_S()[t];
      double score = (losses.mean_T()[t] - b_T[t]) * losses.weight_T()[t];
      double pathwise = gated ? feedback.s_S()[t] * p_TE[chosen] : 0;
      double c = weight_T[t] * (score + pathwise);
      Rows.subtract(dLogits_TE, c, p_TE, from, from + experts);
      dLogits_TE[chosen] += c;
    }
  }
}
