package troupe.router.gate;

/**
 * The gate of Mixtral: the k best experts of a softmax, their probabilities divided by their sum.
 * The sum counts all chosen experts, also those that have no room, so that a token loses what was
 * dropped of it. An expert that a slot is rerouted to takes the place of the one that was full.
 *
 * <p>With k = 1 the weight is 1 whatever the logits are, and the balance loss alone teaches the
 * router. Costs k expert evaluations a token. The gradient is the plain one at fixed decisions: it
 * leaves out that other experts might have been chosen, and so is biased for every loss.
 *
 * <p>Source: huggingface/transformers@008f5c8, models/mixtral.
 */
final class SoftmaxTopKGate implements Gate {
  private final int k;

  SoftmaxTopKGate(int k) {
    this.k = k;
  }

  @Override
  public Wishes wish(GateInput input) {
    return Wishes.best(input, k);
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    double[] p_TE = new double[tokens * experts];
    int[] wanted_S = new int[tokens * k];
    Tile tile = new Tile(experts, tokens);
    for (int from = 0; from < tokens; from += tile.capacity()) {
      int count = Math.min(tile.capacity(), tokens - from);
      tile.load(input.logits_TE(), from, count);
      tile.findBest();
      tile.storeSoftmax(p_TE);
      // By logits: probabilities that underflow are all alike.
      for (int r = 0; r < k; r++) {
        if (r > 0) {
          tile.findNext();
        }
        for (int t = 0; t < count; t++) {
          wanted_S[(from + t) * k + r] = tile.best(t);
          tile.remove(t, tile.best(t));
        }
      }
    }
    int[] firstSlot_T1 = Routing.evenSlots(tokens, k);
    Places places = Places.of(input, firstSlot_T1, wanted_S, p_TE);
    return new Shares(Shares.Score.SOFTMAX, Divisor.SUM, 1, p_TE, firstSlot_T1, places.expert_S())
        .routing(input, firstSlot_T1, p_TE, wanted_S, places);
  }
}
