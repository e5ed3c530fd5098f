package troupe.router.gate;

import java.util.Arrays;

/**
 * What several experts of a token weigh, and the gradient of that:
 *
 * <pre>
 *   w_s = scale * q_s / Z         Z: the divisor, of the sum of q over the members m of the token
 *   dq  = scale * g_s / Z for its slots,  - Z' * sum_s w_s g_s / Z for the members      g: gradient of w; Z': the divisor's slope
 *   softmax q    dLogits_j += q_j (dq_j - sum_i q_i dq_i)
 *   sigmoid q    dLogits_j += q_j (1 - q_j) dq_j
 * </pre>
 *
 * @param score what made q of the logits
 * @param q_TE scores of all experts
 * @param firstMember_T1 first member of each token, and their number at the end
 * @param member_M the experts whose scores are summed up: most often those of the token's slots
 */
record Shares(
    Score score, Divisor divisor, double scale, double[] q_TE, int[] firstMember_T1, int[] member_M)
    implements Estimator {

  /** What turns logits into scores. */
  enum Score {
    SOFTMAX,
    SIGMOID
  }

  /** The slots of every token that have a place, as members. */
  static Shares ofPlaced(
      Score score, Divisor divisor, double[] q_TE, int[] firstSlot_T1, Places places) {
    if (places.placed_S() == null) {
      return new Shares(score, divisor, 1, q_TE, firstSlot_T1, places.expert_S());
    }
    int[] firstMember_T1 = new int[firstSlot_T1.length];
    int[] member_M = new int[places.expert_S().length];
    int members = 0;
    for (int t = 0; t + 1 < firstSlot_T1.length; t++) {
      for (int slot = firstSlot_T1[t]; slot < firstSlot_T1[t + 1]; slot++) {
        if (places.has(slot)) {
          member_M[members++] = places.expert_S()[slot];
        }
      }
      firstMember_T1[t + 1] = members;
    }
    return new Shares(score, divisor, 1, q_TE, firstMember_T1, Arrays.copyOf(member_M, members));
  }

  /**
   * The routing that sends a token to each of its experts at its share.
   *
   * @param p_TE what the balance loss evens out
   */
  Routing routing(
      GateInput input, int[] firstSlot_T1, double[] p_TE, int[] wanted_S, Places places) {
    double[] weight_S = weights(input.experts(), firstSlot_T1, places);
    return Routing.full(input, firstSlot_T1, p_TE, null, wanted_S, places, weight_S, this);
  }

  private double[] weights(int experts, int[] firstSlot_T1, Places places) {
    double[] weight_S = new double[places.expert_S().length];
    for (int t = 0; t + 1 < firstSlot_T1.length; t++) {
      double z = divisor.of(sum(t, experts));
      for (int slot = firstSlot_T1[t]; slot < firstSlot_T1[t + 1]; slot++) {
        weight_S[slot] =
            places.has(slot) ? scale * (q_TE[t * experts + places.expert_S()[slot]] / z) : 0;
      }
    }
    return weight_S;
  }

  private double sum(int token, int experts) {
    double sum = 0;
    for (int m = firstMember_T1[token]; m < firstMember_T1[token + 1]; m++) {
      sum += q_TE[token * experts + member_M[m]];
    }
    return sum;
  }

  @Override
  public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
    int experts = routing.experts();
    int[] firstSlot_T1 = routing.firstSlot_T1();
    int[] expert_S = routing.expert_S();
    double[] w_S = routing.multiplier_S();
    double[] g_S = feedback.s_S();
    boolean slotsAreMembers = firstMember_T1 == firstSlot_T1 && member_M == expert_S;
    double[] dq_E = new double[experts];
    // A bit for each expert that the token has to do with.
    long[] bits_W = new long[Kept.words(experts)];
    for (int t = 0; t < routing.tokens(); t++) {
      int from = t * experts;
      double sum = sum(t, experts);
      double z = divisor.of(sum);
      double slope = divisor.slope(sum);
      double mean = 0;
      for (int slot = firstSlot_T1[t]; slot < firstSlot_T1[t + 1]; slot++) {
        mean += w_S[slot] * g_S[slot];
      }
      // Weights that do not change when all scores grow alike are a softmax over the chosen: what
      // is left of inner then is rounding, and others must get exactly nothing.
      boolean alone = score == Score.SIGMOID || divisor.isHomogeneous(sum);
      if (alone && slotsAreMembers) {
        for (int slot = firstSlot_T1[t]; slot < firstSlot_T1[t + 1]; slot++) {
          double dq = scale * g_S[slot] - slope * mean;
          addOwn(dLogits_TE, from + expert_S[slot], dq, z);
        }
        continue;
      }
      for (int slot = firstSlot_T1[t]; slot < firstSlot_T1[t + 1]; slot++) {
        int e = expert_S[slot];
        dq_E[e] += scale * g_S[slot];
        bits_W[e / Kept.BITS] |= 1L << e;
      }
      for (int m = firstMember_T1[t]; m < firstMember_T1[t + 1]; m++) {
        int e = member_M[m];
        dq_E[e] -= slope * mean;
        bits_W[e / Kept.BITS] |= 1L << e;
      }
      double inner = addOwn(dLogits_TE, from, dq_E, bits_W, z);
      if (!alone) {
        Rows.subtract(dLogits_TE, inner, q_TE, from, from + experts);
      }
    }
  }

  /** Adds {@code q dq} of those with bits, in the order of experts, and sums up. */
  private double addOwn(double[] dLogits_TE, int from, double[] dq_E, long[] bits_W, double z) {
    double inner = 0;
    for (int w = 0; w < bits_W.length; w++) {
      for (long bits = bits_W[w]; bits != 0; bits &= bits - 1) {
        int e = w * Kept.BITS + Long.numberOfTrailingZeros(bits);
        inner += addOwn(dLogits_TE, from + e, dq_E[e], z);
        dq_E[e] = 0;
      }
      bits_W[w] = 0;
    }
    return inner;
  }

  private double addOwn(double[] dLogits_TE, int at, double dq, double z) {
    if (dq == 0) {
      return 0;
    }
    double q = q_TE[at];
    double own = q / z * dq;
    dLogits_TE[at] += score == Score.SIGMOID ? own * (1 - q) : own;
    return own;
  }
}
