package troupe.router.gate;

/**
 * The router z-loss {@code L_z = mean over tokens of lse_t^2, lse_t = ln sum_j exp(logit_tj)},
 * which keeps logits small (ST-MoE, arXiv 2202.08906). It sees all experts, masked or not, and the
 * logits as the gate used them, after jitter.
 */
public final class ZLoss {
  private ZLoss() {}

  /** {@code sum over tokens of lse_t^2}: the caller sums over ranks and divides by all tokens. */
  public static double sum(Routing routing) {
    int experts = routing.experts();
    double[] logits_TE = routing.logits_TE();
    double sum = 0;
    for (int from = 0; from < logits_TE.length; from += experts) {
      double lse = logSumExp(logits_TE, from, from + experts);
      sum += lse * lse;
    }
    return sum;
  }

  /**
   * Adds the gradient of {@code coefficient * L_z} by the logits before jitter, u being the jitter:
   *
   * <pre>  dLogits_tj += coefficient * 2 / tokens * lse_t * exp(logit_tj - lse_t) * u_tj</pre>
   *
   * @param tokens of the global batch, of which the routing is a part
   */
  public static void addGradient(
      double[] dLogits_TE, Routing routing, double coefficient, long tokens) {
    int experts = routing.experts();
    double[] logits_TE = routing.logits_TE();
    double[] u_TE = routing.logitScale_TE();
    double factor = 2 * coefficient / tokens;
    for (int from = 0; from < logits_TE.length; from += experts) {
      double lse = logSumExp(logits_TE, from, from + experts);
      for (int i = from; i < from + experts; i++) {
        double gradient = factor * lse * Math.exp(logits_TE[i] - lse);
        dLogits_TE[i] += u_TE == null ? gradient : gradient * u_TE[i];
      }
    }
  }

  private static double logSumExp(double[] logits_TE, int from, int to) {
    double max = logits_TE[from];
    for (int i = from + 1; i < to; i++) {
      max = Math.max(max, logits_TE[i]);
    }
    double sum = 0;
    for (int i = from; i < to; i++) {
      sum += Math.exp(logits_TE[i] - max);
    }
    return max + Math.log(sum);
  }
}
