package troupe.router.gate;

/**
 * The mixture that sparse gates stand in for: {@code y = sum_j p_j f_j} with p the softmax over all
 * experts. Its gradient is exact, whatever the loss: {@code dLogits_j = p_j (s_j - sum_i p_i s_i)}.
 * Costs N expert evaluations a token, in training and evaluation alike. No mask and no draws.
 *
 * <p>Source: Jacobs, Jordan, Nowlan, Hinton, "Adaptive mixtures of local experts" (1991), in the
 * form of the "dense" rows of MoE papers.
 */
final class DenseGate implements Gate {
  @Override
  public Routing route(GateInput input) {
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    double[] p_TE = new double[logits_TE.length];
    for (int from = 0; from < p_TE.length; from += experts) {
      int best = Rows.argmaxFinite(logits_TE, from, from + experts);
      Rows.softmax(p_TE, logits_TE, logits_TE[best], from, from + experts);
    }
    return AllExperts.routing(input, p_TE, null, p_TE, new SoftmaxGradient(p_TE, 1));
  }
}
