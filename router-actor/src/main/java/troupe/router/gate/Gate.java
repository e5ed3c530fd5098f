package troupe.router.gate;

/**
 * A router's decision and the estimator of its gradient. Stateless: what backward needs travels in
 * the {@link Routing}, what lasts from step to step is a {@link GateState}.
 */
public interface Gate {
  /**
   * Chooses experts, gives out their places and says what their outputs are multiplied by.
   *
   * @throws NonFiniteLogitsException naming the first token whose logits are NaN or infinite
   */
  Routing route(GateInput input);

  /**
   * Chooses experts without a limit of capacity, for a gate that looks at logits alone.
   *
   * @param logits_TE router logits, row-major, {@code tokens * experts}; kept in the routing, not
   *     copied
   */
  default Routing route(
      double[] logits_TE, int tokens, int experts, Draws draws, boolean training) {
    return route(GateInput.of(logits_TE, tokens, experts, draws, training));
  }

  /**
   * Which experts the tokens want, with the draws of {@link #route}. Only a gate that chooses
   * without a look at capacity is asked; one for which wishes are less work than a routing says
   * how.
   */
  default Wishes wish(GateInput input) {
    return Wishes.of(route(input.with(Capacity.DROPLESS)));
  }

  /** Whether the gradient of the logits needs to know how well each token was predicted. */
  default boolean needsLosses() {
    return false;
  }

  /**
   * What each choice by itself adds to the loss, as estimators of the score function have it, or
   * {@code null} for all other gates.
   *
   * @param state what the gate keeps
   */
  default double[] advantages(Feedback.Losses losses, double[] state) {
    return null;
  }

  /** What the gate keeps from step to step, or {@code null}. */
  default GateState state() {
    return null;
  }

  /** Whether the balance loss counts the first choice of each token alone. */
  default boolean balancesFirstChoices() {
    return false;
  }

  /**
   * Whether the gate looks experts up by {@link GateInput#ids_T}, in a table that it gets as {@link
   * GateInput#state}, and the router has no weights.
   */
  default boolean hashes() {
    return false;
  }
}
