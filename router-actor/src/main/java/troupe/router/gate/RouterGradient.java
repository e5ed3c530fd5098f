package troupe.router.gate;

/** The gradient that top-1 gates share: the softmax Jacobian at the chosen expert. */
final class RouterGradient {
  private RouterGradient() {}

  /**
   * Per token, with D the chosen expert, m = p_D and u the logit jitter (1 where there was none):
   *
   * <pre>  dLogits_j += kappa * s * m * (1[j = D] - p_j) * u_j</pre>
   *
   * Masked experts have p = 0 and get exactly zero; so does a token with a single kept expert. The
   * scale {@code a} is not in it: it acts through {@code s}, which was taken at the scaled output.
   */
  static void addTopOne(double[] dLogits_TE, Routing routing, double[] s_T) {
    int experts = routing.experts();
    double[] p_TE = routing.p_TE();
    double[] u_TE = routing.logitScale_TE();
    int[] expert_T = routing.expert_TK();
    double kappa = routing.gradientFactor();
    for (int t = 0; t < routing.tokens(); t++) {
      int from = t * experts;
      int chosen = from + expert_T[t];
      double c = kappa * s_T[t] * p_TE[chosen];
      if (c == 0) {
        continue;
      }
      double before = dLogits_TE[chosen];
      double own = c * (1 - p_TE[chosen]);
      if (u_TE == null) {
        for (int i = from; i < from + experts; i++) {
          dLogits_TE[i] -= c * p_TE[i];
        }
        dLogits_TE[chosen] = before + own;
      } else {
        for (int i = from; i < from + experts; i++) {
          dLogits_TE[i] -= c * p_TE[i] * u_TE[i];
        }
        dLogits_TE[chosen] = before + own * u_TE[chosen];
      }
    }
  }
}
