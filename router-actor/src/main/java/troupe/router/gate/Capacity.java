package troupe.router.gate;

import troupe.core.config.RunConfig;
import troupe.core.config.RunConfig.DropOrder;

/**
 * How many rows an expert takes from one micro-batch of one rank, and who loses when more come.
 * That micro-batch is the group of the Switch Transformer: capacity never looks beyond it, so ranks
 * need not agree on anything before they dispatch.
 *
 * @param factor room over the even share, typically 1.25; 0 is dropless
 * @param minimum least capacity of an expert, however few the tokens
 * @param order who gets a place first: the tokens in their order, or in an order drawn anew
 */
public record Capacity(double factor, int minimum, DropOrder order) {
  /** Every row is kept. */
  public static final Capacity DROPLESS = new Capacity(0, 0, DropOrder.POSITION);

  /** The capacity that a config sets. */
  public static Capacity of(RunConfig.Experts config) {
    return new Capacity(config.capacityFactor(), config.minCapacity(), config.drop());
  }

  /** Checks the numbers. */
  public Capacity {
    if (!(factor >= 0 && factor < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("capacity_factor: " + factor + " (expected: >= 0)");
    }
    if (minimum < 0) {
      throw new IllegalArgumentException("min_capacity: " + minimum + " (expected: >= 0)");
    }
  }

  /**
   * {@code max(min(T, (int) (T * factor / E)), minimum)} rows an expert, or {@link
   * Integer#MAX_VALUE} if dropless. Source: mesh-tensorflow@da90793, moe.py.
   */
  public int rows(int tokens, int experts) {
    if (factor == 0) {
      return Integer.MAX_VALUE;
    }
    int share = (int) (tokens * factor / experts);
    return Math.max(Math.min(tokens, share), minimum);
  }
}
