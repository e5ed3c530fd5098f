package troupe.router.gate;

/**
 * The layer's output and its gradients in plain loops, for one expert output a token: {@code y =
 * multiplier * omega * f}.
 */
record Combine(double[] y_TD, double[] s_T, double[] dF_TD, double[] dOmega_D) {

  static Combine of(double[] multiplier_T, double[] omega_D, double[] f_TD, double[] g_TD) {
    int channels = omega_D.length;
    double[] y_TD = new double[f_TD.length];
    double[] s_T = new double[multiplier_T.length];
    double[] dF_TD = new double[f_TD.length];
    double[] dOmega_D = new double[channels];
    for (int i = 0; i < f_TD.length; i++) {
      int t = i / channels;
      int d = i % channels;
      y_TD[i] = multiplier_T[t] * omega_D[d] * f_TD[i];
      s_T[t] += g_TD[i] * omega_D[d] * f_TD[i];
      dF_TD[i] = multiplier_T[t] * omega_D[d] * g_TD[i];
      dOmega_D[d] += multiplier_T[t] * g_TD[i] * f_TD[i];
    }
    return new Combine(y_TD, s_T, dF_TD, dOmega_D);
  }
}
