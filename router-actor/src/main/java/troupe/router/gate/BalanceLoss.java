package troupe.router.gate;

/**
 * The load-balancing loss {@code L = N * sum_i f_i P_i} of the Switch Transformer (arXiv
 * 2101.03961, eq. 4 to 6): f_i is the share of the tokens that went to expert i, without gradient,
 * P_i the mean probability. Least, 1, at an even load; for k slots a token f sums to k, and so does
 * the least loss (Mixtral's form, huggingface/transformers).
 *
 * <p>Counts and token totals are those of the global batch, so ranks and micro-batches add up to
 * the loss of the whole. The probabilities are those the gate used: masked experts get no gradient.
 */
public final class BalanceLoss {
  /** What the authors of SparseMixer add to the token count (microsoft/SparseMixer@1b41d56). */
  public static final double AUTHORS_EPSILON = 1e-6;

  private BalanceLoss() {}

  /**
   * {@code f_i = routed_i / (tokens + epsilon)}.
   *
   * @param routed_E rows of each expert before dropping, over all slots
   * @param epsilon 0 for Google's and Hugging Face's form, {@link #AUTHORS_EPSILON} for
   *     SparseMixer's
   */
  public static double[] fraction(long[] routed_E, long tokens, double epsilon) {
    double[] f_E = new double[routed_E.length];
    for (int e = 0; e < f_E.length; e++) {
      f_E[e] = routed_E[e] / (tokens + epsilon);
    }
    return f_E;
  }

  /** {@code N * sum_i f_i * sumP_i / tokens}; {@code sumP_E} from {@link Load#sumP}, summed. */
  public static double value(double[] f_E, double[] sumP_E, long tokens) {
    double sum = 0;
    for (int e = 0; e < f_E.length; e++) {
      sum += f_E[e] * (sumP_E[e] / tokens);
    }
    return f_E.length * sum;
  }

  /**
   * Adds the gradient of {@code coefficient * L} by the logits before jitter, u being the jitter:
   *
   * <pre>  dLogits_tj += coefficient * N / tokens * p_tj * (f_j - sum_i p_ti f_i) * u_tj</pre>
   *
   * @param tokens of the global batch, of which the routing is a part
   */
  public static void addGradient(
      double[] dLogits_TE, Routing routing, double[] f_E, double coefficient, long tokens) {
    int experts = routing.experts();
    double[] p_TE = routing.p_TE();
    double[] u_TE = routing.logitScale_TE();
    double factor = coefficient * experts / tokens;
    for (int from = 0; from < p_TE.length; from += experts) {
      double mean = 0;
      for (int e = 0; e < experts; e++) {
        mean += p_TE[from + e] * f_E[e];
      }
      for (int e = 0; e < experts; e++) {
        double gradient = factor * p_TE[from + e] * (f_E[e] - mean);
        dLogits_TE[from + e] += u_TE == null ? gradient : gradient * u_TE[from + e];
      }
    }
  }
}
