package troupe.router.gate;

/**
 * What a gate decides by: the tokens of one micro-batch.
 *
 * @param logits_TE router logits, row-major; the routing keeps them, nobody copies them
 * @param ids_T the vocabulary's number of each token, {@code null} where nobody knows: only a gate
 *     that hashes asks
 * @param state what {@link Gate#state} says the gate keeps, or the table of one that {@link
 *     Gate#hashes hashes}; empty for most
 * @param capacity how many rows an expert takes
 * @param draws may be {@code null} outside of training
 */
public record GateInput(
    double[] logits_TE,
    int tokens,
    int experts,
    int[] ids_T,
    double[] state,
    Capacity capacity,
    Draws draws,
    boolean training) {
  private static final double[] NO_STATE = {};

  /** Checks the shape. */
  public GateInput {
    Rows.checkShape(logits_TE, tokens, experts);
  }

  /** Logits alone, and as much capacity as is asked for. */
  public static GateInput of(
      double[] logits_TE, int tokens, int experts, Draws draws, boolean training) {
    return new GateInput(
        logits_TE, tokens, experts, null, NO_STATE, Capacity.DROPLESS, draws, training);
  }

  /** The same tokens under another capacity. */
  public GateInput with(Capacity other) {
    return new GateInput(logits_TE, tokens, experts, ids_T, state, other, draws, training);
  }

  /** The same tokens with what the gate keeps from step to step. */
  public GateInput with(double[] otherState) {
    return new GateInput(logits_TE, tokens, experts, ids_T, otherState, capacity, draws, training);
  }

  /** The same tokens with their numbers in the vocabulary. */
  public GateInput withIds(int[] otherIds_T) {
    return new GateInput(logits_TE, tokens, experts, otherIds_T, state, capacity, draws, training);
  }
}
