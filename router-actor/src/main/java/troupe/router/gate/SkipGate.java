package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;

/**
 * The first of the two estimators of Kool, Maddison and Mnih, "Unbiased Gradient Estimation with
 * Balanced Assignments for Mixtures of Experts" (arXiv 2109.11817): experts are drawn from the
 * softmax, token by token; of the n tokens that drew an expert with room for c, a random c are kept
 * and the others skipped; those that are kept make up for them:
 *
 * <pre>
 *   z ~ p = softmax(logits)                          kept with probability min(n, c) / n
 *   w = kept n / min(n, c)                           n counts the tokens of the expert, or of the group that shares room
 *   dLogits_j = w (loss - b) share (1[j = z] - p_j)  and w times what experts get, see {@link WeightedScore}
 * </pre>
 *
 * Without a capacity this is REINFORCE. Who is kept is drawn whatever {@code experts.drop} says: by
 * position the weight would not make up for anything, and with {@code experts.overflow = next} z
 * would not be what was drawn. No code of the authors is public and the formulas are those of the
 * abstract worked out anew: checked by enumeration of all draws.
 *
 * <p>Unbiased for losses that are a sum over datapoints, each a function of the own choice alone,
 * where a skipped one is left out of the sum: one layer of experts that classifies, say; and with a
 * baseline that does not depend on the own choice. A transformer is not of that kind: a skipped
 * token is not left out of the loss but passes by on the residual stream, and what it does shows in
 * the tokens after it and, through the baseline, in others' scores. There the weights make up for
 * what is skipped only as far as tokens act alone.
 *
 * <p>Costs one expert evaluation for a token that is kept. In evaluation the best expert, no draws.
 */
final class SkipGate implements Gate {
  private final Gate sampler = new SparseMixerGate(MaskRule.NONE, ScaleRule.FIRST_ORDER, 1);
  private final LossBaseline baseline;
  private final boolean gated;

  SkipGate(LossBaseline baseline, boolean gated) {
    this.baseline = baseline;
    this.gated = gated;
  }

  @Override
  public boolean needsLosses() {
    return true;
  }

  @Override
  public GateState state() {
    return baseline.state();
  }

  @Override
  public Routing route(GateInput input) {
    if (!input.training()) {
      Routing best = sampler.route(input);
      return gated ? best : Ungated.of(best, Estimator.NONE);
    }
    Routing sampled = sampler.route(input.with(shuffled(input.capacity())));
    double[] weight_T = weights(input, sampled.wanted_S(), sampled.placed_S());
    return new WeightedScore(weight_T, baseline, input.state(), gated)
        .routing(input, sampled.p_TE(), sampled.wanted_S(), sampled.placed_S());
  }

  private static Capacity shuffled(Capacity set) {
    return new Capacity(
        set.factor(),
        set.minimum(),
        set.rounding(),
        DropOrder.SHUFFLED,
        Overflow.DROP,
        set.groups());
  }

  private static double[] weights(GateInput input, int[] expert_T, boolean[] placed_T) {
    double[] weight_T = new double[expert_T.length];
    if (placed_T == null) {
      Arrays.fill(weight_T, 1);
      return weight_T;
    }
    int[] drawn_G = new int[Math.max(input.experts(), input.capacity().groups())];
    int[] kept_G = new int[drawn_G.length];
    for (int t = 0; t < expert_T.length; t++) {
      int group = input.capacity().group(expert_T[t], input.experts());
      drawn_G[group]++;
      kept_G[group] += placed_T[t] ? 1 : 0;
    }
    for (int t = 0; t < expert_T.length; t++) {
      int group = input.capacity().group(expert_T[t], input.experts());
      weight_T[t] = placed_T[t] ? (double) drawn_G[group] / kept_G[group] : 0;
    }
    return weight_T;
  }
}
