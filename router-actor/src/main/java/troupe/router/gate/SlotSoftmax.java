package troupe.router.gate;

/**
 * The gradient of slots whose multiplier is the probability of their expert in a softmax over
 * experts, not renormalised over the slots of a token. With D the experts of a token:
 *
 * <pre>  dLogits_j += 1[j in D] s_j p_j - p_j * sum over D of s_i p_i</pre>
 *
 * Dropped slots have s = 0 and so no part in it.
 */
enum SlotSoftmax implements Estimator {
  GRADIENT;

  @Override
  public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
    int experts = routing.experts();
    double[] p_TE = routing.p_TE();
    int[] expert_S = routing.expert_S();
    int[] firstSlot_T1 = routing.firstSlot_T1();
    double[] s_S = feedback.s_S();
    for (int t = 0; t < routing.tokens(); t++) {
      int from = t * experts;
      double sum = 0;
      for (int slot = firstSlot_T1[t]; slot < firstSlot_T1[t + 1]; slot++) {
        double own = s_S[slot] * p_TE[from + expert_S[slot]];
        dLogits_TE[from + expert_S[slot]] += own;
        sum += own;
      }
      if (sum != 0) {
        for (int i = from; i < from + experts; i++) {
          dLogits_TE[i] -= p_TE[i] * sum;
        }
      }
    }
  }
}
