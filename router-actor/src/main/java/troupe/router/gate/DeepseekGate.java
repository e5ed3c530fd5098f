package troupe.router.gate;

import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.Deepseek;
import troupe.router.gate.Shares.Score;

/**
 * The gate of DeepSeek-V3 (arXiv 2412.19437): experts are chosen by score + bias and weighted by
 * the score alone. The bias of an expert, in place of a balance loss, goes up by a fixed rate after
 * a step in which it had less than the mean load, and down after one in which it had more (arXiv
 * 2408.15664).
 *
 * <pre>
 *   s = sigmoid(logits), or softmax(logits)
 *   groups    with G groups of neighbours, a group scores the sum of its two best s + b; the best groups are kept
 *   choice    the k best of s + b in the kept groups
 *   weights   scale * s_i / sum of the chosen s; with softmax scale * s_i
 *   b_i      += rate * sign(mean load - load_i)
 * </pre>
 *
 * <p>Weights count chosen experts that have no room too. A slot without room may be rerouted out of
 * the kept groups. Costs k expert evaluations a token. The gradient is the plain one at fixed
 * decisions, biased for every loss. The released code has no bias in its softmax mode and no
 * training: the rule for b is that of the papers and of Megatron-LM. The sequence-wise loss that
 * the paper adds is left out, for no source of it was found.
 *
 * <p>Source: deepseek-ai/DeepSeek-V3@9b4e978, inference/model.py; NVIDIA/Megatron-LM@d98e8a6.
 */
final class DeepseekGate implements Gate {
  private final int k;
  private final int groups;
  private final int topGroups;
  private final double scale;
  private final boolean sigmoid;
  private final GateState bias;

  DeepseekGate(Deepseek config, int k) {
    this.k = k;
    this.groups = config.groups();
    this.topGroups = config.topGroups();
    this.scale = config.scale();
    this.sigmoid = config.score() == GateConfig.Score.SIGMOID;
    this.bias = new LoadBias(config.biasRate());
  }

  @Override
  public GateState state() {
    return bias;
  }

  @Override
  public Wishes wish(GateInput input) {
    if (!sigmoid) {
      return Gate.super.wish(input);
    }
    double[] s_E = new double[input.experts()];
    double[] biased_E = new double[input.experts()];
    int[] wanted_S = new int[input.tokens() * k];
    for (int t = 0; t < input.tokens(); t++) {
      choose(input, t, s_E, 0, biased_E, wanted_S);
    }
    return new Wishes(Routing.evenSlots(input.tokens(), k), wanted_S, null);
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] s_TE = new double[tokens * experts];
    double[] biased_E = new double[experts];
    int[] wanted_S = new int[tokens * k];
    for (int t = 0; t < tokens; t++) {
      choose(input, t, s_TE, t * experts, biased_E, wanted_S);
    }
    double[] p_TE = sigmoid ? normalised(s_TE, experts) : s_TE;
    int[] firstSlot_T1 = Routing.evenSlots(tokens, k);
    Places places = Places.of(input, firstSlot_T1, wanted_S, p_TE);
    return new Shares(
            sigmoid ? Score.SIGMOID : Score.SOFTMAX,
            sigmoid ? Divisor.SUM : Divisor.ONE,
            scale,
            s_TE,
            firstSlot_T1,
            places.expert_S())
        .routing(input, firstSlot_T1, p_TE, wanted_S, places);
  }

  /**
   * Writes the scores of a token to {@code s[at ..]} and the experts that it wants to its slots.
   */
  private void choose(
      GateInput input, int t, double[] s, int at, double[] biased_E, int[] wanted_S) {
    int experts = input.experts();
    double[] logits_TE = input.logits_TE();
    int from = t * experts;
    int best = Rows.argmaxFinite(logits_TE, from, from + experts);
    if (sigmoid) {
      for (int e = 0; e < experts; e++) {
        s[at + e] = 1 / (1 + Math.exp(-logits_TE[from + e]));
      }
    } else {
      Rows.softmax(s, logits_TE, logits_TE[best], from, from + experts);
    }
    for (int e = 0; e < experts; e++) {
      biased_E[e] = s[at + e] + (input.state().length == 0 ? 0 : input.state()[e]);
    }
    if (groups > 1) {
      leaveOutGroups(biased_E);
    }
    TopK.select(biased_E, 0, experts, k, wanted_S, t * k);
  }

  /** Scores of each token made to sum to one. */
  private static double[] normalised(double[] s_TE, int experts) {
    double[] p_TE = new double[s_TE.length];
    for (int from = 0; from < s_TE.length; from += experts) {
      double sum = 0;
      for (int i = from; i < from + experts; i++) {
        sum += s_TE[i];
      }
      double z = Divisor.SUM.of(sum);
      for (int i = from; i < from + experts; i++) {
        p_TE[i] = s_TE[i] / z;
      }
    }
    return p_TE;
  }

  /** Puts all but the best groups out of reach. */
  private void leaveOutGroups(double[] biased_E) {
    int size = biased_E.length / groups;
    double[] score_G = new double[groups];
    int[] two = new int[2];
    for (int g = 0; g < groups; g++) {
      int best = Math.min(2, size);
      TopK.select(biased_E, g * size, size, best, two, 0);
      for (int i = 0; i < best; i++) {
        score_G[g] += biased_E[g * size + two[i]];
      }
    }
    int[] kept = new int[topGroups];
    TopK.select(score_G, 0, groups, topGroups, kept, 0);
    boolean[] isKept_G = new boolean[groups];
    for (int g : kept) {
      isKept_G[g] = true;
    }
    for (int e = 0; e < biased_E.length; e++) {
      if (!isKept_G[e / size]) {
        biased_E[e] = Double.NEGATIVE_INFINITY;
      }
    }
  }
}
