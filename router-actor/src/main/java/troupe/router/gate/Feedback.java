package troupe.router.gate;

/**
 * What backward knows about a routing.
 *
 * @param s_S {@code s = sum_d g_d w_d f_d} of each slot, zero for dropped ones; {@code g} is the
 *     gradient at the layer's (scaled) output
 * @param losses how well each token was predicted; {@code null} unless the gate asks for it
 * @param load_E rows that each expert was chosen for, as a share of the tokens of the whole step
 * @param tokens of the whole step, over all ranks
 */
public record Feedback(double[] s_S, Losses losses, double[] load_E, long tokens) {

  /** For gates that look at {@code s} alone. */
  public static Feedback of(double[] s_S) {
    return new Feedback(s_S, null, null, 0);
  }

  /**
   * What the choice for a token is answerable for: itself and what comes after it in its sequence,
   * for a causal model never lets it touch what came before.
   *
   * @param mean_T cross entropy in nats a token, the mean from this token to the end of its
   *     sequence
   * @param weight_T number of tokens in that mean over the number of tokens of the whole step; so
   *     {@code mean * weight} is the part of the step's loss that the choice can change
   * @param span tokens of a sequence: token t belongs to sequence {@code t / span}
   */
  public record Losses(double[] mean_T, double[] weight_T, int span) {

    /**
     * From the cross entropy of each token.
     *
     * @param loss_T nats, sequence after sequence
     * @param tokens of the whole step, over all ranks
     */
    public static Losses of(double[] loss_T, int span, long tokens) {
      double[] mean_T = new double[loss_T.length];
      double[] weight_T = new double[loss_T.length];
      double sum = 0;
      int count = 0;
      for (int t = loss_T.length - 1; t >= 0; t--) {
        if ((t + 1) % span == 0) {
          sum = 0;
          count = 0;
        }
        sum += loss_T[t];
        count++;
        mean_T[t] = sum / count;
        weight_T[t] = (double) count / tokens;
      }
      return new Losses(mean_T, weight_T, span);
    }
  }
}
