package troupe.router.gate;

import java.util.Arrays;

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
    Kept kept_TE = mask == MaskRule.NONE ? null : new Kept(tokens, experts);
    int[] expert_T = new int[tokens];
    double[] scale_T = new double[tokens];
    Tile tile = new Tile(experts, tokens);
    int[] other_R = new int[tile.capacity()];
    for (int from = 0; from < tokens; from += tile.capacity()) {
      int count = Math.min(tile.capacity(), tokens - from);
      tile.load(logits_TE, from, count);
      tile.findBest();
      boolean choice = experts > 1;
      if (kept_TE != null) {
        choice = tile.mask(mask);
        tile.storeKept(kept_TE, from, 1);
      }
      tile.storeProbabilities(p_TE);
      boolean sampled = choice && training;
      if (sampled) {
        tile.race(draws, 0);
      }
      int others = 0;
      for (int t = 0; t < count; t++) {
        int best = tile.best(t);
        int chosen = sampled ? tile.chosen(t) : best;
        expert_T[from + t] = chosen;
        other_R[others] = t;
        others += chosen == best ? 0 : 1;
      }
      if (training) {
        scaleRule.scales(from, count, other_R, others, draws, 0, scale_T, from);
      } else {
        Arrays.fill(scale_T, from, from + count, 1);
      }
    }
    return TopOne.routing(
        input, logits_TE, p_TE, kept_TE, expert_T, scale_T, null, training ? gradientFactor : 1);
  }
}
