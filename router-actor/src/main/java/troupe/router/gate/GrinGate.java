package troupe.router.gate;

/**
 * SparseMixer-v2, top-k, as in GRIN (arXiv 2409.12136) and Phi-3.5-MoE: k rounds of sampling from a
 * masked softmax, each without the experts chosen before. The mask of a round holds the given
 * logits against the largest of those that are left, and its softmax sums to one by itself, so
 * multipliers of several rounds are not shares of one.
 *
 * <pre>  y = sum_r a_r p_r[D_r] f_{D_r}     dLogits_j += sum_r s_r p_r[D_r] (1[j = D_r] - p_r[j])
 * </pre>
 *
 * The gradient estimates {@code nabla0} alone (kappa 1), never adding {@code nabla1}: for k = 1 and
 * without the exception for the best expert it is exact for {@code nabla0} where the loss is a
 * polynomial of one more than the degree of the quadrature; with it, or for more rounds, biased.
 * Costs k expert evaluations a token. A node at 0 (Simpson's) costs more than it seems: the output
 * of an expert is computed and left out, and the expert learns nothing from the token.
 *
 * <p>The balance loss evens out the plain softmax over all experts, as the authors' code returns
 * it. A slot that was rerouted takes its multiplier from that, too.
 *
 * <p>Source: microsoft/SparseMixer@1b41d56, sparsemixer_v2.py (top-1 and top-2), and
 * huggingface/transformers@0233e50, modular_phimoe.py (top-2; its evaluation is the same rounds
 * with the largest logit each). Rounds from the third on repeat the rule of the second; nobody
 * published any.
 */
final class GrinGate implements Gate {
  private final MaskRule mask;
  private final ScaleRule scaleRule;
  private final int k;

  GrinGate(MaskRule mask, ScaleRule scaleRule, int k) {
    this.mask = mask;
    this.scaleRule = scaleRule;
    this.k = k;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] all_TE = new double[tokens * experts];
    Kept kept_TE = new Kept(tokens, experts);
    int[] wanted_S = new int[tokens * k];
    double[] scale_S = new double[tokens * k];
    double[] p_SE = new double[Math.multiplyExact(tokens * k, experts)];
    Tile tile = new Tile(experts);
    Rounds rounds = new Rounds(input, tile, wanted_S, scale_S, p_SE);
    for (int from = 0; from < tokens; from += tile.capacity()) {
      int count = Math.min(tile.capacity(), tokens - from);
      tile.load(input.logits_TE(), from, count);
      tile.findBest();
      tile.storeSoftmax(all_TE);
      for (int r = 0; r < k; r++) {
        rounds.route(from, count, r, r == 0 ? kept_TE : null);
      }
    }
    return routing(input, all_TE, kept_TE, wanted_S, scale_S, p_SE);
  }

  private Routing routing(
      GateInput input,
      double[] all_TE,
      Kept kept_TE,
      int[] wanted_S,
      double[] scale_S,
      double[] p_SE) {
    int experts = input.experts();
    int[] firstSlot_T1 = Routing.evenSlots(input.tokens(), k);
    Places places = Places.of(input, firstSlot_T1, wanted_S, all_TE);
    int[] expert_S = places.expert_S();
    if (expert_S != wanted_S) {
      for (int slot = 0; slot < expert_S.length; slot++) {
        if (expert_S[slot] != wanted_S[slot]) {
          System.arraycopy(all_TE, slot / k * experts, p_SE, slot * experts, experts);
        }
      }
    }
    double[] multiplier_S = new double[wanted_S.length];
    for (int slot = 0; slot < multiplier_S.length; slot++) {
      multiplier_S[slot] = scale_S[slot] * p_SE[slot * experts + expert_S[slot]];
    }
    return new Routing(
        input.tokens(),
        experts,
        firstSlot_T1,
        input.logits_TE(),
        all_TE,
        kept_TE,
        wanted_S,
        expert_S,
        places.placed_S(),
        scale_S,
        multiplier_S,
        multiplier_S,
        null,
        new Gradient(p_SE));
  }

  /** Rounds of the tokens of a tile. */
  private final class Rounds {
    private final GateInput input;
    private final Tile tile;
    private final int[] wanted_S;
    private final double[] scale_S;
    private final double[] p_SE;
    private final double[] likeliest_T;
    private final double[] scale_T;
    private final int[] other_R;

    Rounds(GateInput input, Tile tile, int[] wanted_S, double[] scale_S, double[] p_SE) {
      this.input = input;
      this.tile = tile;
      this.wanted_S = wanted_S;
      this.scale_S = scale_S;
      this.p_SE = p_SE;
      this.likeliest_T = new double[tile.capacity()];
      this.scale_T = new double[input.tokens()];
      this.other_R = new int[tile.capacity()];
    }

    void route(int from, int count, int round, Kept kept_TE) {
      if (round > 0) {
        tile.findNext();
      }
      boolean sampled = tile.mask(mask, kept_TE) && input.training();
      int experts = input.experts();
      tile.storeQuotients(p_SE, (from * k + round) * experts, k * experts);
      if (sampled) {
        tile.race(input.draws(), round);
      }
      // The authors compare probabilities here, not logits.
      tile.findLikeliest(likeliest_T);
      int others = 0;
      for (int t = 0; t < count; t++) {
        int chosen = sampled ? tile.chosen(t) : tile.best(t);
        wanted_S[(from + t) * k + round] = chosen;
        other_R[others] = t;
        others += chosen == likeliest_T[t] ? 0 : 1;
        tile.remove(t, chosen);
      }
      if (input.training()) {
        scaleRule.scales(from, count, other_R, others, input.draws(), round, scale_T);
      }
      for (int t = from; t < from + count; t++) {
        scale_S[t * k + round] = input.training() ? scale_T[t] : 1;
      }
    }
  }

  /** The softmax Jacobian of every slot's own round, at kappa 1. */
  record Gradient(double[] p_SE) implements Estimator {
    @Override
    public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
      int experts = routing.experts();
      for (int t = 0; t < routing.tokens(); t++) {
        int from = t * experts;
        for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
          int fromP = slot * experts;
          int chosen = routing.expert_S()[slot];
          double c = feedback.s_S()[slot] * p_SE[fromP + chosen];
          double own = dLogits_TE[from + chosen] + c * (1 - p_SE[fromP + chosen]);
          Rows.subtract(dLogits_TE, from, c, p_SE, fromP, experts);
          dLogits_TE[from + chosen] = own;
        }
      }
    }
  }
}
