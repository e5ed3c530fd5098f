package troupe.router.gate;

/**
 * Where the slots of a layer went. It always adds up: {@code routed = kept + dropped}.
 *
 * @param routed slots that gates asked an expert for
 * @param kept those that found a place
 * @param dropped those that did not, and passed by on the residual stream
 * @param rerouted those of the kept that found it at another expert than the one asked for
 */
public record Ledger(long routed, long kept, long dropped, long rerouted) {
  /** Checks the sum. */
  public Ledger {
    if (routed != kept + dropped || kept < 0 || dropped < 0 || rerouted < 0 || rerouted > kept) {
      throw new IllegalStateException(
          "ledger: routed=%d kept=%d dropped=%d rerouted=%d (expected: routed = kept + dropped, rerouted <= kept)"
              .formatted(routed, kept, dropped, rerouted));
    }
  }

  /** The ledger of one routing. */
  public static Ledger of(Routing routing) {
    long kept = 0;
    for (int slot = 0; slot < routing.slots(); slot++) {
      kept += routing.isPlaced(slot) ? 1 : 0;
    }
    long routed = routing.slots();
    return new Ledger(routed, kept, routed - kept, routing.rerouted());
  }

  /** Both together. */
  public Ledger plus(Ledger other) {
    return new Ledger(
        routed + other.routed,
        kept + other.kept,
        dropped + other.dropped,
        rerouted + other.rerouted);
  }
}
