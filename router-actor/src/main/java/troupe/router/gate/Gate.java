package troupe.router.gate;

/**
 * A router's decision and the estimator of its gradient. Stateless: what backward needs travels in
 * the {@link Routing}.
 */
public interface Gate {
  /** Experts a token is sent to. */
  int topK();

  /**
   * Chooses experts.
   *
   * @param logits_TE router logits, row-major, {@code tokens * experts}; kept in the routing, not
   *     copied
   * @throws NonFiniteLogitsException naming the first token whose logits are NaN or infinite
   */
  Routing route(double[] logits_TE, int tokens, int experts, Draws draws, boolean training);

  /**
   * Adds the gradient of the logits that flows through the outputs: {@code dLogits += ...}.
   *
   * @param s_TK {@code s = sum_d g_d w_d f_d} of each token and slot, zero for dropped ones; {@code
   *     g} is the gradient at the layer's (scaled) output
   */
  void backward(double[] dLogits_TE, Routing routing, double[] s_TK);
}
