package troupe.router.gate;

/** Routings with a slot for every expert, in the order of experts: slot {@code t * E + e}. */
final class AllExperts {
  private AllExperts() {}

  /**
   * A routing of every token to every expert.
   *
   * @param p_TE the probabilities of the experts
   * @param multiplier_TE what is made of each output, zero where it only has to be known
   */
  static Routing routing(
      GateInput input, double[] p_TE, Kept kept_TE, double[] multiplier_TE, Estimator estimator) {
    if (!input.capacity().isDropless()) {
      throw new IllegalArgumentException(
          "capacity_factor: "
              + input.capacity().factor()
              + " (expected: 0, since every expert gets every token)");
    }
    int[] expert_S = new int[p_TE.length];
    for (int slot = 0; slot < expert_S.length; slot++) {
      expert_S[slot] = slot % input.experts();
    }
    return Routing.full(
        input,
        Routing.evenSlots(input.tokens(), input.experts()),
        p_TE,
        kept_TE,
        expert_S,
        new Places(expert_S, null),
        multiplier_TE,
        estimator);
  }
}
