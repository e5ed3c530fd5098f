package troupe.router.gate;

/**
 * Which experts the tokens of a micro-batch want, before anybody asks how much room these have: the
 * slots of a {@link Routing} without places.
 *
 * @param firstSlot_T1 first slot of each token, and the number S of slots at the end
 * @param wanted_S the expert that the gate chose for each slot
 * @param p_TE what the tokens like; {@code null} if no place depends on it, see {@link
 *     Capacity#asksForProbabilities}
 */
public record Wishes(int[] firstSlot_T1, int[] wanted_S, double[] p_TE) {
  /** The wishes of a routing that was made without a limit. */
  static Wishes of(Routing routing) {
    return new Wishes(routing.firstSlot_T1(), routing.wanted_S(), routing.p_TE());
  }

  /**
   * The k experts with the largest logits for each token, best first.
   *
   * @throws NonFiniteLogitsException naming the first token whose logits are NaN or infinite
   */
  static Wishes best(GateInput input, int k) {
    int tokens = input.tokens();
    int experts = input.experts();
    int[] wanted_S = new int[Math.multiplyExact(tokens, k)];
    for (int t = 0; t < tokens; t++) {
      TopK.selectFinite(input.logits_TE(), t * experts, experts, k, wanted_S, t * k);
    }
    return new Wishes(Routing.evenSlots(tokens, k), wanted_S, null);
  }
}
