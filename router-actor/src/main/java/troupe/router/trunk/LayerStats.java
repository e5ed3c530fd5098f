package troupe.router.trunk;

import java.util.Arrays;
import troupe.router.gate.DispatchPlan;
import troupe.router.gate.Ledger;
import troupe.router.gate.Load;
import troupe.router.gate.Routing;
import troupe.router.gate.ZLoss;

/**
 * What a rank's gate did with its tokens in one layer and step. Values are sums, so ranks and
 * micro-batches add up. Arrays are not written to once the stats are sent.
 *
 * @param routed_E rows each expert was chosen for, before dropping
 * @param sumP_E probabilities of each expert, summed over tokens
 * @param sumZ squared log-sum-exp, summed over tokens
 * @param tokens number of tokens
 * @param kept rows that experts got
 * @param dropped rows over capacity
 * @param rerouted rows over capacity that another expert took
 * @param alive tokens with more than one expert kept by the mask
 */
public record LayerStats(
    long[] routed_E,
    double[] sumP_E,
    double sumZ,
    long tokens,
    long kept,
    long dropped,
    long rerouted,
    long alive) {
  /** Nothing yet. */
  public static LayerStats none(int experts) {
    return new LayerStats(new long[experts], new double[experts], 0, 0, 0, 0, 0, 0);
  }

  /** The stats of one micro-batch. */
  static LayerStats of(Routing routing, DispatchPlan plan) {
    long[] counts = new long[routing.experts()];
    for (int e = 0; e < counts.length; e++) {
      counts[e] = plan.routed_E()[e];
    }
    return new LayerStats(
        counts,
        Load.sumP(routing),
        ZLoss.sum(routing),
        routing.tokens(),
        plan.rows(),
        plan.dropped(),
        routing.rerouted(),
        Load.alive(routing));
  }

  /**
   * Where the rows went.
   *
   * @throws IllegalStateException if they do not add up
   */
  public Ledger ledger() {
    return new Ledger(Arrays.stream(routed_E).sum(), kept, dropped, rerouted);
  }

  /** These stats and others. */
  public LayerStats plus(LayerStats other) {
    long[] routed = routed_E.clone();
    double[] sumP = sumP_E.clone();
    for (int e = 0; e < routed.length; e++) {
      routed[e] += other.routed_E[e];
      sumP[e] += other.sumP_E[e];
    }
    return new LayerStats(
        routed,
        sumP,
        sumZ + other.sumZ,
        tokens + other.tokens,
        kept + other.kept,
        dropped + other.dropped,
        rerouted + other.rerouted,
        alive + other.alive);
  }
}
