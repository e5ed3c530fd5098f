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
 * <p>Sigmoids are {@link troupe.core.math.Sigmoid}'s: the same bits on every machine, within three
 * units in the last place of the function. Scores of a token are summed in the order of experts.
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
    return new Wishes(Routing.evenSlots(input.tokens(), k), choose(input, null, null), null);
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    double[] s_TE = new double[tokens * input.experts()];
    double[] p_TE = sigmoid ? new double[s_TE.length] : s_TE;
    int[] wanted_S = choose(input, s_TE, p_TE);
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
   * The experts that the tokens want.
   *
   * @param s_TE gets the scores; {@code null} for sigmoids that nobody wants to know
   * @param p_TE gets the scores of each token made to sum to one
   */
  private int[] choose(GateInput input, double[] s_TE, double[] p_TE) {
    int tokens = input.tokens();
    int experts = input.experts();
    int[] wanted_S = new int[tokens * k];
    Tile tile = new Tile(experts, tokens);
    SigmoidScores scores = new SigmoidScores(experts, tile.capacity());
    Columns biased = new Columns(experts, tile.capacity());
    BestGroups best = new BestGroups(experts, groups, topGroups, tile.capacity());
    for (int from = 0; from < tokens; from += tile.capacity()) {
      int count = Math.min(tile.capacity(), tokens - from);
      tile.load(input.logits_TE(), from, count);
      tile.findBest();
      if (sigmoid) {
        scores.load(tile.logits(), tile.lanes(), input.state(), biased);
        if (s_TE != null) {
          scores.store(s_TE, p_TE, from * experts, count);
        }
      } else {
        tile.storeSoftmax(s_TE);
        biased.load(s_TE, from * experts, count, input.state());
      }
      best.select(biased, count, tile.lanes());
      for (int r = 0; r < k; r++) {
        biased.findBest(tile.lanes());
        for (int t = 0; t < count; t++) {
          wanted_S[(from + t) * k + r] = biased.best(t);
          biased.remove(t, biased.best(t));
        }
      }
    }
    return wanted_S;
  }
}
