package troupe.router.gate;

/**
 * The whole Jacobian of a softmax, for gates that know what every expert would have done. With c_i
 * = s of expert i and q a row of probabilities:
 *
 * <pre>  dLogits_j += factor * q_j * (c_j - sum_i q_i c_i)</pre>
 *
 * @param q_TE zero where an expert is out of reach
 * @param factor of the whole: the inverse of a temperature
 */
record SoftmaxGradient(double[] q_TE, double factor) implements Estimator {
  @Override
  public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
    for (int from = 0; from < q_TE.length; from += routing.experts()) {
      addRow(dLogits_TE, q_TE, feedback.s_S(), factor, from, from + routing.experts());
    }
  }

  /** The gradient of one token; {@code s} in the order of experts. */
  static void addRow(
      double[] dLogits_TE, double[] q_TE, double[] s_TE, double factor, int from, int to) {
    double mean = 0;
    for (int i = from; i < to; i++) {
      mean += q_TE[i] * s_TE[i];
    }
    for (int i = from; i < to; i++) {
      dLogits_TE[i] += factor * q_TE[i] * (s_TE[i] - mean);
    }
  }
}
