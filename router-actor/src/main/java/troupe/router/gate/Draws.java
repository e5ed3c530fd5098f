package troupe.router.gate;

/**
 * The random numbers of one layer, micro-batch and step. Token indices are local to the
 * micro-batch. Implementations are pure functions of their arguments, so draws can be asked for in
 * any order and only where they matter.
 */
public interface Draws {
  /**
   * An Exp(1) draw for a token and expert, used as {@code argmax(logit - ln e)}; round 0 unless
   * top-k draws again.
   */
  double exponential(int token, int expert, int round);

  /** A draw in [0, 1) per token and round that decides between full and partial scale. */
  double coin(int token, int round);

  /** A draw in [0, 1) per token: the scale itself, for the estimator that integrates. */
  double scale(int token, int round);

  /** A draw in [0, 1) per token and expert: multiplicative noise on logits. */
  double noise(int token, int expert);

  /** A draw in [0, 1) per token and input channel: multiplicative noise on the router's input. */
  double inputNoise(int token, int channel);

  /** A draw in [0, 1) per token: its place in the shuffled order in which capacity is given out. */
  double priority(int token);

  /**
   * Many exponentials at once, expert by expert: {@code out[e * stride + t]} is {@link
   * #exponential} of token {@code firstToken + t} and expert e.
   */
  default void exponentials(
      int firstToken, int tokens, int experts, int round, double[] out, int stride) {
    for (int e = 0; e < experts; e++) {
      for (int t = 0; t < tokens; t++) {
        out[e * stride + t] = exponential(firstToken + t, e, round);
      }
    }
  }

  /**
   * Exponentials of all experts for chosen tokens, but within {@link
   * troupe.core.random.RoughExponential#ERROR}, at less than half the time: who wins a race most
   * often needs to know no more.
   *
   * @param token_R tokens, counted from {@code firstToken}; the first {@code count} of them
   * @param out gets them by pairs of experts: that of expert e and token i is at {@code 2 * count *
   *     (e / 4 * 2 + e % 2) + 2 * i + e / 2 % 2}; it has room for experts up to a multiple of four
   * @return whether there are any
   */
  default boolean roughExponentials(
      int firstToken, int[] token_R, int count, int experts, int round, float[] out) {
    return false;
  }

  /**
   * Exponentials of chosen tokens and experts: {@code out[at + i]} is {@link #exponential} of token
   * {@code firstToken + token_R[i]} and expert {@code expert_R[i]}, for i below {@code count}.
   */
  default void exponentials(
      int firstToken, int[] token_R, int[] expert_R, int count, int round, double[] out, int at) {
    for (int i = 0; i < count; i++) {
      out[at + i] = exponential(firstToken + token_R[i], expert_R[i], round);
    }
  }

  /**
   * Coins of chosen tokens: {@code out[i]} is {@link #coin} of token {@code firstToken +
   * token_R[i]}, for i below {@code count}.
   */
  default void coins(int firstToken, int[] token_R, int count, int round, double[] out) {
    for (int i = 0; i < count; i++) {
      out[i] = coin(firstToken + token_R[i], round);
    }
  }

  /** {@link #scale} of chosen tokens, as {@link #coins}. */
  default void scales(int firstToken, int[] token_R, int count, int round, double[] out) {
    for (int i = 0; i < count; i++) {
      out[i] = scale(firstToken + token_R[i], round);
    }
  }

  /**
   * Much noise at once, expert by expert: {@code out[e * stride + t]} is {@link #noise} of token
   * {@code firstToken + t} and expert e.
   */
  default void noises(int firstToken, int tokens, int experts, double[] out, int stride) {
    for (int e = 0; e < experts; e++) {
      for (int t = 0; t < tokens; t++) {
        out[e * stride + t] = noise(firstToken + t, e);
      }
    }
  }
}
