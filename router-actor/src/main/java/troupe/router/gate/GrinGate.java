package troupe.router.gate;

import java.util.Arrays;
import troupe.core.math.Exp;

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
    double[] logits_TE = input.logits_TE();
    double[] all_TE = new double[tokens * experts];
    Kept kept_TE = new Kept(tokens, experts);
    int[] wanted_S = new int[tokens * k];
    double[] scale_S = new double[tokens * k];
    double[] p_SE = new double[Math.multiplyExact(tokens * k, experts)];
    boolean[] left_E = new boolean[experts];
    for (int t = 0; t < tokens; t++) {
      int from = t * experts;
      int best = Rows.argmaxFinite(logits_TE, from, from + experts);
      Rows.softmax(all_TE, logits_TE, logits_TE[best], from, from + experts);
      Arrays.fill(left_E, true);
      for (int r = 0; r < k; r++) {
        int slot = t * k + r;
        Round round = new Round(logits_TE, from, left_E, p_SE, slot * experts);
        if (r == 0) {
          round.kept(kept_TE, t);
        }
        int chosen = input.training() ? round.sample(input.draws(), t, r) : round.largest;
        wanted_S[slot] = chosen;
        scale_S[slot] =
            input.training()
                ? scaleRule.scale(chosen == round.likeliest(), input.draws(), t, r)
                : 1;
        left_E[chosen] = false;
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

  /** One round of one token: which experts it may take, and how likely each is. */
  private final class Round {
    private final double[] logits_TE;
    private final int from;
    private final boolean[] kept_E;
    private final double[] p_SE;
    private final int fromP;

    /** The expert with the largest logit of those left, the first on ties. */
    final int largest;

    Round(double[] logits_TE, int from, boolean[] left_E, double[] p_SE, int fromP) {
      this.logits_TE = logits_TE;
      this.from = from;
      this.p_SE = p_SE;
      this.fromP = fromP;
      int first = -1;
      for (int e = 0; e < left_E.length; e++) {
        if (left_E[e] && (first < 0 || logits_TE[from + e] > logits_TE[from + first])) {
          first = e;
        }
      }
      this.largest = first;
      this.kept_E = new boolean[left_E.length];
      double max = logits_TE[from + first];
      double sum = 0;
      for (int e = 0; e < kept_E.length; e++) {
        if (left_E[e] && mask.keeps(logits_TE[from + e], max)) {
          kept_E[e] = true;
          double weight = Exp.of(logits_TE[from + e] - max);
          p_SE[fromP + e] = weight;
          sum += weight;
        }
      }
      for (int e = 0; e < kept_E.length; e++) {
        p_SE[fromP + e] /= sum;
      }
    }

    void kept(Kept kept_TE, int token) {
      for (int e = 0; e < kept_E.length; e++) {
        if (kept_E[e]) {
          kept_TE.keep(token, e);
        }
      }
    }

    /** Gumbel-max over the kept experts, as the race that {@link Tile#race} is. */
    int sample(Draws draws, int token, int round) {
      int winner = largest;
      double weight = 0;
      double draw = 1;
      for (int e = 0; e < kept_E.length; e++) {
        if (kept_E[e]) {
          double w = p_SE[fromP + e];
          double d = draws.exponential(token, e, round);
          if (w * draw > weight * d) {
            winner = e;
            weight = w;
            draw = d;
          }
        }
      }
      return winner;
    }

    /** The expert with the largest probability: the authors compare those here, not logits. */
    int likeliest() {
      int best = 0;
      for (int e = 1; e < kept_E.length; e++) {
        best = p_SE[fromP + e] > p_SE[fromP + best] ? e : best;
      }
      return best;
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
          for (int e = 0; e < experts; e++) {
            dLogits_TE[from + e] += c * ((e == chosen ? 1 : 0) - p_SE[fromP + e]);
          }
        }
      }
    }
  }
}
