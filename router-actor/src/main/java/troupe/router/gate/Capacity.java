package troupe.router.gate;

import troupe.core.config.RunConfig;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;
import troupe.core.config.RunConfig.Rounding;

/**
 * How many rows an expert takes from one micro-batch of one rank, and who loses when more come.
 * That micro-batch is the group of the Switch Transformer: capacity never looks beyond it, so ranks
 * need not agree on anything before they dispatch.
 *
 * @param factor room over the even share, typically 1.25; 0 is dropless
 * @param minimum least capacity of an expert, however few the tokens
 * @param rounding how the share becomes a whole number
 * @param order who gets a place first
 * @param overflow what becomes of a slot without a place
 * @param groups experts share their room in so many groups of neighbours, as those on one device
 *     do; 0 gives each expert its own
 */
public record Capacity(
    double factor, int minimum, Rounding rounding, DropOrder order, Overflow overflow, int groups) {
  /** Every row is kept. */
  public static final Capacity DROPLESS = new Capacity(0, 0, DropOrder.POSITION);

  /** Switch's rounding, overflow is dropped, each expert has its own room. */
  public Capacity(double factor, int minimum, DropOrder order) {
    this(factor, minimum, Rounding.SWITCH, order, Overflow.DROP, 0);
  }

  /** The capacity that a config sets. */
  public static Capacity of(RunConfig.Experts config) {
    return new Capacity(
        config.capacityFactor(),
        config.minCapacity(),
        config.rounding(),
        config.drop(),
        config.overflow(),
        config.capacityGroups());
  }

  /** Checks the numbers. */
  public Capacity {
    if (!(factor >= 0 && factor < Double.POSITIVE_INFINITY)) {
      throw new IllegalArgumentException("capacity_factor: " + factor + " (expected: >= 0)");
    }
    if (minimum < 0) {
      throw new IllegalArgumentException("min_capacity: " + minimum + " (expected: >= 0)");
    }
    if (groups < 0) {
      throw new IllegalArgumentException("capacity_groups: " + groups + " (expected: >= 0)");
    }
  }

  /** Whether every row is kept. */
  public boolean isDropless() {
    return factor == 0;
  }

  /**
   * Whether places depend on what tokens like, beyond the experts that they want: at any factor
   * other than 0.
   */
  boolean asksForProbabilities() {
    return order == DropOrder.PROBABILITY || overflow == Overflow.NEXT;
  }

  /** The same capacity with another factor. */
  public Capacity withFactor(double other) {
    return new Capacity(other, minimum, rounding, order, overflow, groups);
  }

  /** {@link #rows(int, int, double)} with one slot a token. */
  public int rows(int tokens, int experts) {
    return rows(tokens, experts, 1);
  }

  /**
   * Rows an expert takes, or {@link Integer#MAX_VALUE} if dropless. With T tokens of k slots, E
   * experts and factor c:
   *
   * <pre>
   *   SWITCH      max(min(T, floor(T k c / E)), minimum)   mesh-tensorflow@da90793, moe.py
   *   MEGATRON    max(ceil(T k / E * c), minimum)          Megatron-LM@d98e8a6, moe_utils.py; DeepSpeed the same
   *   TORCHSCALE  max(floor(k c ceil(T / E)), minimum)     torchscale@4d1e0e8, xmoe/routing.py
   * </pre>
   *
   * @param slotsPerToken k; a mean where tokens have different numbers of slots
   */
  public int rows(int tokens, int experts, double slotsPerToken) {
    if (isDropless()) {
      return Integer.MAX_VALUE;
    }
    double share =
        switch (rounding) {
          case SWITCH -> Math.min(tokens, Math.floor(tokens * slotsPerToken * factor / experts));
          case MEGATRON -> Math.ceil(tokens * slotsPerToken / experts * factor);
          case TORCHSCALE -> Math.floor(slotsPerToken * factor * Math.ceilDiv(tokens, experts));
        };
    return (int) Math.min(Integer.MAX_VALUE, Math.max(share, minimum));
  }

  /** The group whose room an expert uses. */
  int group(int expert, int experts) {
    return groups == 0 ? expert : (int) ((long) expert * groups / experts);
  }
}
