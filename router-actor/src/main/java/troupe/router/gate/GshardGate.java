package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.GateConfig.Gshard;
import troupe.core.config.GateConfig.Normalise;
import troupe.core.config.GateConfig.SecondExpert;
import troupe.router.gate.Shares.Score;

/**
 * The gate of GShard (Lepikhin et al., arXiv 2006.16668): the best expert of a softmax and a second
 * one that takes part by one of four policies, g1 and g2 being their probabilities:
 *
 * <pre>
 *   best        the second best
 *   sampled     argmax of logit + Gumbel(0, 1) over the others              torchscale's default
 *   random      the second best, kept iff 2 g2 &gt; U                          torchscale; g2 after normalising if that comes first
 *   threshold   the second best, kept iff U &lt; g2 / (g1 + g2 + 1e-9) / 0.2   Google
 * </pre>
 *
 * <p>Weights are normalised before a second expert is left out and slots are dropped, by {@code g1
 * + g2 + 1e-9} as Google does, or over those that have a place, as torchscale does: then a lone
 * survivor has weight 1 and no gradient. First choices take their places before second ones. In
 * evaluation nothing is drawn and the second best is always kept.
 *
 * <p>The balance loss counts first choices only. Costs up to 2 expert evaluations a token. The
 * gradient is the plain one at fixed decisions and so biased for every loss: how a second expert is
 * sampled or kept is not differentiated.
 *
 * <p>Source: microsoft/torchscale@4d1e0e8, xmoe/routing.py; tensorflow/mesh@da90793, moe.py.
 */
final class GshardGate implements Gate {
  /** Google's {@code second_threshold_train}. */
  private static final double THRESHOLD = 0.2;

  private final SecondExpert second;
  private final boolean normalisesFirst;

  GshardGate(Gshard config) {
    this.second = config.second();
    this.normalisesFirst = config.normalise() == Normalise.BEFORE_DROP;
  }

  @Override
  public boolean balancesFirstChoices() {
    return true;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    if (experts < 2) {
      throw new IllegalArgumentException("experts: " + experts + " (expected: >= 2)");
    }
    double[] logits_TE = input.logits_TE();
    double[] p_TE = new double[tokens * experts];
    int[] pair_T2 = new int[2 * tokens];
    int[] firstSlot_T1 = new int[tokens + 1];
    int[] wanted_S = new int[2 * tokens];
    boolean sampled = input.training() && second == SecondExpert.SAMPLED;
    Tile tile = new Tile(experts, tokens);
    int slots = 0;
    for (int from = 0; from < tokens; from += tile.capacity()) {
      int count = Math.min(tile.capacity(), tokens - from);
      tile.load(logits_TE, from, count);
      tile.findBest();
      tile.storeSoftmax(p_TE);
      for (int t = 0; t < count; t++) {
        pair_T2[2 * (from + t)] = tile.best(t);
        tile.remove(t, tile.best(t));
      }
      tile.findNext();
      if (sampled) {
        tile.weigh();
        tile.race(input.draws(), 0);
      }
      for (int t = 0; t < count; t++) {
        pair_T2[2 * (from + t) + 1] = sampled ? tile.chosen(t) : tile.best(t);
      }
    }
    boolean always = !input.training() || second == SecondExpert.BEST || sampled;
    for (int t = 0; t < tokens; t++) {
      wanted_S[slots++] = pair_T2[2 * t];
      wanted_S[slots] = pair_T2[2 * t + 1];
      slots += always || keepsSecond(p_TE, t, experts, pair_T2, input.draws()) ? 1 : 0;
      firstSlot_T1[t + 1] = slots;
    }
    wanted_S = Arrays.copyOf(wanted_S, slots);
    Places places = Places.of(input, firstSlot_T1, wanted_S, p_TE, 2);
    int[] firstOfPair_T1 = Routing.evenSlots(tokens, 2);
    Shares shares =
        normalisesFirst
            ? new Shares(Score.SOFTMAX, Divisor.PADDED_SUM, 1, p_TE, firstOfPair_T1, pair_T2)
            : Shares.ofPlaced(Score.SOFTMAX, Divisor.FLOORED_SUM, p_TE, firstSlot_T1, places);
    return shares.routing(input, firstSlot_T1, p_TE, wanted_S, places);
  }

  private boolean keepsSecond(double[] p_TE, int t, int experts, int[] pair_T2, Draws draws) {
    double g1 = p_TE[t * experts + pair_T2[2 * t]];
    double g2 = p_TE[t * experts + pair_T2[2 * t + 1]];
    return switch (second) {
      case BEST, SAMPLED -> true;
      case RANDOM -> 2 * (normalisesFirst ? share(g1, g2) : g2) > draws.coin(t, 0);
      case THRESHOLD -> draws.coin(t, 0) < share(g1, g2) / THRESHOLD;
    };
  }

  private static double share(double g1, double g2) {
    return g2 / Divisor.PADDED_SUM.of(g1 + g2);
  }
}
