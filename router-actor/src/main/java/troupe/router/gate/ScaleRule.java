package troupe.router.gate;

import java.util.Arrays;

/**
 * The detached scale {@code a} of an expert's output during training: where between zero and the
 * full output the loss is differentiated, which is what makes the estimator first order, mid-point
 * or exact in expectation (docs/numerics.md, "Why").
 */
@FunctionalInterface
interface ScaleRule {
  /** SparseMixer-1st: Euler's rule, always the full output. */
  ScaleRule FIRST_ORDER =
      new ScaleRule() {
        @Override
        public double scale(boolean best, Draws draws, int token, int round) {
          return 1;
        }

        @Override
        public void scales(
            int firstToken,
            int tokens,
            int[] other_R,
            int others,
            Draws draws,
            int round,
            double[] scale_T,
            int at) {
          Arrays.fill(scale_T, at, at + tokens, 1);
        }
      };

  /**
   * The scale of one token; asks for no draw that the rule does not need.
   *
   * @param best whether the chosen expert has the largest logit
   */
  double scale(boolean best, Draws draws, int token, int round);

  /**
   * {@link #scale} of many tokens.
   *
   * @param other_R those whose chosen expert is not the best, counted from {@code firstToken} on,
   *     ascending
   * @param others how many these are
   * @param scale_T gets the scales at {@code [at, at + tokens)}
   */
  default void scales(
      int firstToken,
      int tokens,
      int[] other_R,
      int others,
      Draws draws,
      int round,
      double[] scale_T,
      int at) {
    int next = 0;
    for (int t = 0; t < tokens; t++) {
      boolean best = next == others || other_R[next] != t;
      next += best ? 0 : 1;
      scale_T[at + t] = scale(best, draws, firstToken + t, round);
    }
  }
}
