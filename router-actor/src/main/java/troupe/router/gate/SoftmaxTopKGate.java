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
    double[] logits_TE = input.logits_TE();
    // By logits: probabilities that underflow are all alike.
    Wishes wishes = wish(input);
    int[] wanted_S = wishes.wanted_S();
    double[] p_TE = new double[tokens * experts];
    for (int t = 0; t < tokens; t++) {
      int from = t * experts;
      Rows.softmax(p_TE, logits_TE, logits_TE[from + wanted_S[t * k]], from, from + experts);
    }
    int[] firstSlot_T1 = wishes.firstSlot_T1();
    Places places = Places.of(input, firstSlot_T1, wanted_S, p_TE);
    return new Shares(Shares.Score.SOFTMAX, Divisor.SUM, 1, p_TE, firstSlot_T1, places.expert_S())
        .routing(input, firstSlot_T1, p_TE, wanted_S, places);
  }
}
