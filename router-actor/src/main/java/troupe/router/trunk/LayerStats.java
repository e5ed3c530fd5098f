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
 * @param first_E those that were a token's first choice, for gates whose balance loss counts these
 *     alone; empty for all others
 * @param sumP_E probabilities of each expert, summed over tokens
 * @param penalty_E what the gate itself adds to the loss for each share of the tokens that an
 *     expert gets, summed over tokens; empty for gates without a penalty
 * @param sumZ squared log-sum-exp, summed over tokens
 * @param tokens number of tokens
 * @param kept rows that experts got
 * @param dropped rows over capacity
 * @param rerouted rows over capacity that another expert took
 * @param alive tokens with more than one expert kept by the mask
 */
public record LayerStats(
    long[] routed_E,
    long[] first_E,
    double[] sumP_E,
    double[] penalty_E,
    double sumZ,
    long tokens,
    long kept,
    long dropped,
    long rerouted,
    long alive) {
  private static final long[] NOT_COUNTED = {};
  private static final double[] NO_PENALTY = {};

  /** Stats of a gate whose balance loss counts all rows, without a penalty. */
  public LayerStats(
      long[] routed_E,
      double[] sumP_E,
      double sumZ,
      long tokens,
      long kept,
      long dropped,
      long rerouted,
      long alive) {
    this(routed_E, NOT_COUNTED, sumP_E, NO_PENALTY, sumZ, tokens, kept, dropped, rerouted, alive);
  }

  /** Nothing yet. */
  public static LayerStats none(int experts) {
    return new LayerStats(new long[experts], new double[experts], 0, 0, 0, 0, 0, 0);
  }

  /** The stats of one micro-batch. */
  static LayerStats of(Routing routing, DispatchPlan plan, boolean balancesFirstChoices) {
    return new LayerStats(
        longs(plan.routed_E()),
        balancesFirstChoices ? longs(Load.firstChoices(routing)) : NOT_COUNTED,
        Load.sumP(routing),
        routing.penalty_E(),
        ZLoss.sum(routing),
        routing.tokens(),
        plan.rows(),
        plan.dropped(),
        routing.rerouted(),
        Load.alive(routing));
  }

  private static long[] longs(int[] counts) {
    return Arrays.stream(counts).asLongStream().toArray();
  }

  /** Rows of each expert that the balance loss counts. */
  public long[] balanced_E() {
    return first_E.length == 0 ? routed_E : first_E;
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
    boolean countsFirst = first_E.length + other.first_E.length > 0;
    return new LayerStats(
        sum(routed_E, other.routed_E),
        countsFirst ? sum(balanced_E(), other.balanced_E()) : NOT_COUNTED,
        sum(sumP_E, other.sumP_E),
        sum(penalty_E, other.penalty_E),
        sumZ + other.sumZ,
        tokens + other.tokens,
        kept + other.kept,
        dropped + other.dropped,
        rerouted + other.rerouted,
        alive + other.alive);
  }

  /** Adds up; of one that is empty the other is the sum. */
  private static double[] sum(double[] a, double[] b) {
    double[] sum = a.length == 0 ? b : a.clone();
    for (int e = 0; e < Math.min(a.length, b.length); e++) {
      sum[e] += b[e];
    }
    return sum;
  }

  private static long[] sum(long[] a, long[] b) {
    long[] sum = a.clone();
    for (int e = 0; e < sum.length; e++) {
      sum[e] += b[e];
    }
    return sum;
  }
}
