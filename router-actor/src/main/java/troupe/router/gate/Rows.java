package troupe.router.gate;

/** What gates do with one row, {@code [from, to)} of a row-major matrix. */
final class Rows {
  private Rows() {}

  /**
   * Fails unless {@code values_TE} has {@code tokens * experts} elements, at least one expert wide.
   */
  static void checkShape(double[] values_TE, int tokens, int experts) {
    if (experts < 1) {
      throw new IllegalArgumentException("experts: " + experts + " (expected: >= 1)");
    }
    if (tokens < 0 || values_TE.length != (long) tokens * experts) {
      throw new IllegalArgumentException(
          "logits: "
              + values_TE.length
              + " (expected: "
              + tokens
              + " tokens * "
              + experts
              + " experts)");
    }
  }

  /**
   * Index of the largest logit, the first one on ties.
   *
   * @throws NonFiniteLogitsException for any NaN or infinity in the row
   */
  static int argmaxFinite(double[] logits_TE, int from, int to) {
    int best = from;
    double max = logits_TE[from];
    // Zero unless a logit is not finite: one test a row instead of one a logit.
    double poison = 0;
    for (int i = from; i < to; i++) {
      double logit = logits_TE[i];
      poison += logit * 0.0;
      if (logit > max) {
        max = logit;
        best = i;
      }
    }
    if (poison != 0) {
      throw nonFinite(logits_TE, from, to);
    }
    return best;
  }

  private static NonFiniteLogitsException nonFinite(double[] logits_TE, int from, int to) {
    int i = from;
    while (Double.isFinite(logits_TE[i])) {
      i++;
    }
    int experts = to - from;
    return new NonFiniteLogitsException(from / experts, i - from, logits_TE[i]);
  }

  /** {@code p = softmax(logits)} of a row whose largest logit is {@code max}. */
  static void softmax(double[] p_TE, double[] logits_TE, double max, int from, int to) {
    double sum = 0;
    for (int i = from; i < to; i++) {
      double weight = Math.exp(logits_TE[i] - max);
      p_TE[i] = weight;
      sum += weight;
    }
    divide(p_TE, sum, from, to);
  }

  /**
   * {@code p = softmax(logits)} over the kept experts of a row; the others keep the zero they have.
   */
  static void softmaxKept(
      double[] p_TE, double[] logits_TE, boolean[] kept_TE, double max, int from, int to) {
    double sum = 0;
    for (int i = from; i < to; i++) {
      if (kept_TE[i]) {
        double weight = Math.exp(logits_TE[i] - max);
        p_TE[i] = weight;
        sum += weight;
      }
    }
    divide(p_TE, sum, from, to);
  }

  private static void divide(double[] p_TE, double sum, int from, int to) {
    double scale = 1 / sum;
    for (int i = from; i < to; i++) {
      p_TE[i] *= scale;
    }
  }
}
