package troupe.router.gate;

import java.util.Arrays;

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
 * <p>All rounds share the exponentials of the first, {@code exp(logit - max of all)}. The authors
 * call an expert the best of a round by its probability, this by its logit: where two logits are so
 * close that their probabilities are one, theirs is the first, this the larger.
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
    Rounds rounds = new Rounds(input);
    Tile tile = rounds.tile;
    for (int from = 0; from < tokens; from += tile.capacity()) {
      int count = Math.min(tile.capacity(), tokens - from);
      tile.load(input.logits_TE(), from, count);
      tile.findBest();
      rounds.apart |= !tile.storeSoftmax(rounds.all_TE);
      for (int r = 0; r < k; r++) {
        rounds.route(from, count, r);
      }
    }
    return rounds.routing();
  }

  /** Rounds of the tokens of a tile. */
  private final class Rounds {
    private final GateInput input;
    private final Tile tile;
    private final double[] all_TE;
    private final int[] wanted_S;
    private final double[] scale_S;
    private final double[] p_S;
    private final double[] multiplier_S;
    private final Kept kept_SE;
    private final double[] p_T;
    private final double[] scale_T;
    private final int[] other_R;
    private final int[] choice_A;
    private int choices;
    private boolean apart;

    Rounds(GateInput input) {
      int tokens = input.tokens();
      int slots = Math.multiplyExact(tokens, k);
      this.input = input;
      this.tile = new Tile(input.experts(), tokens);
      this.all_TE = new double[tokens * input.experts()];
      this.wanted_S = new int[slots];
      this.scale_S = new double[slots];
      this.p_S = new double[slots];
      this.multiplier_S = new double[slots];
      boolean masked = mask != MaskRule.NONE;
      this.kept_SE = masked ? new Kept(slots, input.experts()) : null;
      this.p_T = new double[tile.capacity()];
      this.scale_T = new double[tile.capacity()];
      this.other_R = new int[tile.capacity()];
      this.choice_A = masked ? new int[slots] : null;
    }

    void route(int from, int count, int round) {
      if (round > 0) {
        tile.removeChosen();
      }
      boolean choice = input.experts() - round > 1;
      if (kept_SE != null) {
        choice = tile.mask(mask);
        tile.storeKept(kept_SE, from * k + round, k);
        choices = tile.storeChoices(choice_A, choices, from * k + round, k);
      }
      boolean sampled = choice && input.training();
      tile.weigh();
      if (sampled) {
        tile.race(input.draws(), round);
      }
      int others = tile.storeChosen(sampled, p_T, other_R);
      if (input.training()) {
        scaleRule.scales(from, count, other_R, others, input.draws(), round, scale_T, 0);
      } else {
        Arrays.fill(scale_T, 1);
      }
      for (int t = 0; t < count; t++) {
        int slot = (from + t) * k + round;
        wanted_S[slot] = tile.chosen(t);
        p_S[slot] = p_T[t];
        scale_S[slot] = scale_T[t];
        multiplier_S[slot] = scale_T[t] * p_T[t];
      }
    }

    Routing routing() {
      int experts = input.experts();
      int[] firstSlot_T1 = Routing.evenSlots(input.tokens(), k);
      Places places = Places.of(input, firstSlot_T1, wanted_S, all_TE);
      int[] expert_S = places.expert_S();
      if (expert_S != wanted_S) {
        for (int slot = 0; slot < expert_S.length; slot++) {
          if (expert_S[slot] != wanted_S[slot]) {
            p_S[slot] = all_TE[slot / k * experts + expert_S[slot]];
            multiplier_S[slot] = scale_S[slot] * p_S[slot];
          }
        }
      }
      return new Routing(
          input.tokens(),
          experts,
          firstSlot_T1,
          input.logits_TE(),
          all_TE,
          kept_SE == null ? null : kept_SE.every(k),
          wanted_S,
          expert_S,
          places.placed_S(),
          scale_S,
          multiplier_S,
          multiplier_S,
          null,
          new RoundGradient(k, p_S, kept_SE, choice_A, choices, apart));
    }
  }
}
