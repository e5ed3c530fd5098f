package troupe.router.gate;

/**
 * SparseMixer, top-1 (Liu, Gao, Chen, "Sparse Backpropagation for MoE Training", arXiv 2310.00811):
 * the expert is sampled from a masked softmax, and scale and factor make the gradient of the router
 * an estimate of the whole gradient, the part that conventional gates leave out included.
 *
 * <p>The variants differ in mask, scale and factor alone. In evaluation the best expert is taken,
 * with its probability under the same mask, at full scale, and the gradient is the plain one.
 *
 * <p>Source: microsoft/SparseMixer@1b41d56 (balanced) and branch variants @f4105c8 (1st, inf).
 */
final class SparseMixerGate implements Gate {
  /**
   * The factor of the authors' backward pass: nabla0 + nabla1 where conventional gates have nabla1.
   */
  static final double TRAINING_GRADIENT_FACTOR = 2;

  private final MaskRule mask;
  private final ScaleRule scaleRule;
  private final double gradientFactor;

  SparseMixerGate(MaskRule mask, ScaleRule scaleRule, double gradientFactor) {
    this.mask = mask;
    this.scaleRule = scaleRule;
    this.gradientFactor = gradientFactor;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    Draws draws = input.draws();
    boolean training = input.training();
    double[] p_TE = new double[tokens * experts];
    boolean[] kept_TE = mask == MaskRule.NONE ? null : new boolean[tokens * experts];
    int[] expert_T = new int[tokens];
    double[] scale_T = new double[tokens];
    for (int t = 0; t < tokens; t++) {
      int from = t * experts;
      int to = from + experts;
      int best = Rows.argmaxFinite(logits_TE, from, to);
      int chosen = best;
      if (probabilities(p_TE, logits_TE, kept_TE, best, from, to) > 1 && training) {
        chosen = sample(logits_TE, kept_TE, draws, t, from, to);
      }
      expert_T[t] = chosen - from;
      scale_T[t] = training ? scaleRule.scale(chosen == best, draws, t, 0) : 1;
    }
    return TopOne.routing(
        input, logits_TE, p_TE, kept_TE, expert_T, scale_T, null, training ? gradientFactor : 1);
  }

  /** Fills mask and masked softmax of a row and returns how many experts are kept. */
  private int probabilities(
      double[] p_TE, double[] logits_TE, boolean[] kept_TE, int best, int from, int to) {
    double max = logits_TE[best];
    if (kept_TE == null) {
      Rows.softmax(p_TE, logits_TE, max, from, to);
      return to - from;
    }
    int kept = 0;
    for (int i = from; i < to; i++) {
      boolean keep = mask.keeps(logits_TE[i], max);
      kept_TE[i] = keep;
      kept += keep ? 1 : 0;
    }
    if (kept == 1) {
      p_TE[best] = 1;
    } else {
      Rows.softmaxKept(p_TE, logits_TE, kept_TE, max, from, to);
    }
    return kept;
  }

  /** Gumbel-max over the kept experts of a row: {@code argmax(logit - ln e)} has the law of p. */
  static int sample(
      double[] logits_TE, boolean[] kept_TE, Draws draws, int token, int from, int to) {
    int winner = -1;
    double highest = 0;
    for (int i = from; i < to; i++) {
      if (kept_TE != null && !kept_TE[i]) {
        continue;
      }
      double score = logits_TE[i] - Math.log(draws.exponential(token, i - from, 0));
      if (winner < 0 || score > highest) {
        winner = i;
        highest = score;
      }
    }
    return winner;
  }
}
