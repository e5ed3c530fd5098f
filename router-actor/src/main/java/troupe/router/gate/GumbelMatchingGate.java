package troupe.router.gate;

import java.util.Arrays;

/**
 * The second of the two estimators of Kool, Maddison and Mnih (arXiv 2109.11817): assignments are
 * drawn that are perfectly balanced. With T tokens, E experts, G Gumbel noise and d the longest
 * paths of {@link BalancedAssignment}:
 *
 * <pre>
 *   z = the balanced assignment with the largest sum of log p_t,z(t) + G_t,z(t)
 *   q_tj = P(z(t) = j, the noise of the others given) = softmax over j of log p_tj + d(j, z(t))
 *   w = p_tz / q_tz = sum over j of p_tj exp(d(j, z))
 *   dLogits_j = w (loss - b) share (1[j = z] - p_j)  and w times what experts get, see {@link WeightedScore}
 * </pre>
 *
 * Every expert gets T / E tokens; where that is no whole number, T mod E neighbours drawn by lot
 * get one more, and with less tokens than experts each has room for one. {@code
 * experts.capacity_factor} and what goes with it are not used. No code of the authors is public:
 * the formulas are the abstract's idea worked out anew, q being checked against brute force.
 *
 * <p>Unbiased for losses that are a sum over datapoints, each a function of the own choice alone,
 * and with a baseline that does not depend on the own choice: constant or ema. Leave-one-out is not
 * quite such a one here, for the others' experts depend on who takes their places. In a transformer
 * it is unbiased as far as tokens act alone. With room for one token an expert, {@code T < 2 E},
 * the weight has infinite variance: {@link Gates#warnings}. No balance loss.
 *
 * <p>Log-probabilities below {@value #LEAST_LOG_P} count as that, so that no logits are too far
 * apart. Costs one expert evaluation a token, the assignment and O(T E + E^3). In evaluation the
 * best expert, no draws.
 */
final class GumbelMatchingGate implements Gate {
  private static final double LEAST_LOG_P = -1e6;
  private static final long TWO_TO_53 = 1L << 53;

  private final Gate bestExpert = new SwitchGate(Jitter.NONE);
  private final LossBaseline baseline;
  private final boolean gated;

  GumbelMatchingGate(LossBaseline baseline, boolean gated) {
    this.baseline = baseline;
    this.gated = gated;
  }

  @Override
  public boolean needsLosses() {
    return true;
  }

  @Override
  public GateState state() {
    return baseline.state();
  }

  @Override
  public Routing route(GateInput input) {
    Routing best = bestExpert.route(input);
    if (!input.training()) {
      return gated ? best : Ungated.of(best, Estimator.NONE);
    }
    int tokens = input.tokens();
    int experts = input.experts();
    double[] logP_TE = logProbabilities(input.logits_TE(), best);
    double[] value_TE = logP_TE.clone();
    for (int i = 0; i < value_TE.length; i++) {
      value_TE[i] -= Math.log(input.draws().exponential(i / experts, i % experts, 0));
    }
    BalancedAssignment assignment =
        new BalancedAssignment(value_TE, capacities(tokens, experts, input.draws()));
    double[] weight_T = weights(logP_TE, assignment, experts);
    return new WeightedScore(weight_T, baseline, input.state(), gated)
        .routing(input, best.p_TE(), assignment.expert_N(), null);
  }

  private static double[] logProbabilities(double[] logits_TE, Routing best) {
    double[] logP_TE = new double[logits_TE.length];
    int experts = best.experts();
    for (int t = 0; t < best.tokens(); t++) {
      int at = t * experts + best.wanted_S()[t];
      double logOfBest = Math.log(best.p_TE()[at]);
      for (int i = t * experts; i < (t + 1) * experts; i++) {
        logP_TE[i] = Math.max(LEAST_LOG_P, logits_TE[i] - logits_TE[at] + logOfBest);
      }
    }
    return logP_TE;
  }

  private static int[] capacities(int tokens, int experts, Draws draws) {
    int[] capacity_E = new int[experts];
    Arrays.fill(capacity_E, Math.max(1, tokens / experts));
    int more = tokens < experts ? 0 : tokens % experts;
    int first = more > 0 ? lot(tokens, experts, draws) : 0;
    for (int i = 0; i < more; i++) {
      capacity_E[(first + i) % experts]++;
    }
    return capacity_E;
  }

  /**
   * An expert by lot: the priorities of all tokens, in whatever order, know nothing of the noise.
   */
  private static int lot(int tokens, int experts, Draws draws) {
    long sum = 0;
    for (int t = 0; t < tokens; t++) {
      sum += (long) (draws.priority(t) * TWO_TO_53);
    }
    return (int) ((sum & TWO_TO_53 - 1) / (double) TWO_TO_53 * experts);
  }

  /** {@code p / q} of each token at its expert, in logarithms: either may be zero in a double. */
  private static double[] weights(double[] logP_TE, BalancedAssignment assignment, int experts) {
    int[] expert_T = assignment.expert_N();
    double[] path_EE = assignment.longestPath_EE();
    double[] weight_T = new double[expert_T.length];
    for (int t = 0; t < weight_T.length; t++) {
      for (int j = 0; j < experts; j++) {
        weight_T[t] += Math.exp(logP_TE[t * experts + j] + path_EE[j * experts + expert_T[t]]);
      }
    }
    return weight_T;
  }
}
