package troupe.router.gate;

/**
 * Hash layers (Roller et al., arXiv 2106.04426): the expert of a token is looked up by its number
 * in the vocabulary, the same in all layers, at weight 1. There is nothing to learn: the router
 * gets no gradient, which is the exact one, for the choice does not depend on it. Costs 1 expert
 * evaluation a token.
 *
 * <p>The table ({@link HashTable}) is what the gate keeps and never changes. With a capacity a
 * token whose expert is full passes by; it likes no other.
 */
final class HashGate implements Gate {
  @Override
  public boolean hashes() {
    return true;
  }

  @Override
  public Routing route(GateInput input) {
    int tokens = input.tokens();
    int experts = input.experts();
    if (input.ids_T() == null) {
      throw new IllegalArgumentException("ids: null (expected: the number of each token)");
    }
    double[] p_TE = new double[tokens * experts];
    Kept kept_TE = new Kept(tokens, experts);
    int[] expert_T = new int[tokens];
    for (int t = 0; t < tokens; t++) {
      expert_T[t] = (int) input.state()[input.ids_T()[t]];
      p_TE[t * experts + expert_T[t]] = 1;
      kept_TE.keep(t, expert_T[t]);
    }
    int[] firstSlot_T1 = Routing.evenSlots(tokens, 1);
    Places places = Places.of(input, firstSlot_T1, expert_T, p_TE);
    return Routing.full(
        input, firstSlot_T1, p_TE, kept_TE, expert_T, places, Routing.ones(tokens), Estimator.NONE);
  }
}
