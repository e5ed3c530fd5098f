package troupe.coordinator.lab;

/**
 * What routers are trained for: the mean over tokens of {@code sum_i p_i l(m_i f_i)}, the expected
 * loss when the expert of a token is drawn from p. Gates that multiply an output by its probability
 * have {@code m_i = p_i}, others {@code m_i = 1}.
 */
final class Objective {
  private Objective() {}

  /** The value, by enumeration. */
  static double value(Problem problem, double[] p_TE, boolean gated) {
    int experts = problem.experts();
    double sum = 0;
    for (int t = 0; t < problem.tokens(); t++) {
      for (int e = 0; e < experts; e++) {
        double p = p_TE[t * experts + e];
        sum += p == 0 ? 0 : p * problem.loss_T()[t].value(output(problem, t, e, gated ? p : 1));
      }
    }
    return sum / problem.tokens();
  }

  /**
   * The gradient by the logits, by enumeration: with {@code v_i = l(p_i f_i) + p_i <l'(p_i f_i),
   * f_i>}, or {@code v_i = l(f_i)} without the factor, {@code dLogits_j = p_j (v_j - sum_i p_i
   * v_i)} over the number of tokens. Experts with {@code p = 0} are masked: they get zero, and the
   * mask is taken as given.
   */
  static double[] gradient(Problem problem, double[] p_TE, boolean gated) {
    int experts = problem.experts();
    double[] dLogits_TE = new double[p_TE.length];
    double[] v_E = new double[experts];
    for (int t = 0; t < problem.tokens(); t++) {
      double mean = 0;
      for (int e = 0; e < experts; e++) {
        double p = p_TE[t * experts + e];
        v_E[e] = p == 0 ? 0 : worth(problem, t, e, p, gated);
        mean += p * v_E[e];
      }
      for (int e = 0; e < experts; e++) {
        int i = t * experts + e;
        dLogits_TE[i] = p_TE[i] * (v_E[e] - mean) / problem.tokens();
      }
    }
    return dLogits_TE;
  }

  private static double worth(Problem problem, int t, int e, double p, boolean gated) {
    SmoothLoss loss = problem.loss_T()[t];
    double[] y_D = output(problem, t, e, gated ? p : 1);
    double worth = loss.value(y_D);
    return gated ? worth + p * dot(loss.gradient(y_D), problem.f_TED()[t][e]) : worth;
  }

  private static double[] output(Problem problem, int t, int e, double multiplier) {
    double[] y_D = problem.f_TED()[t][e].clone();
    for (int d = 0; d < y_D.length; d++) {
      y_D[d] *= multiplier;
    }
    return y_D;
  }

  static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }
}
