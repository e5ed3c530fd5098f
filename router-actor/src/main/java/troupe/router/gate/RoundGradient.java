package troupe.router.gate;

/**
 * The softmax Jacobian of every slot's own round, at kappa 1: with D the slot's expert and p the
 * probabilities of its round
 *
 * <pre>  dLogits_j += s p_D (1[j = D] - p_j)</pre>
 *
 * Rows of p are not kept. Where the round had expert j, p_j is the probability that the routing has
 * for j, times a factor that {@code p_D} tells. A slot that was rerouted has all experts.
 *
 * @param k slots of a token
 * @param p_S {@code p_D} of each slot
 * @param kept_SE the experts of each slot's round; {@code null} for all that were not chosen before
 * @param choice_A the slots whose round had more than one, if there was a mask
 * @param choices how many these are
 * @param apart whether some logits are so far apart that there may be no factor
 */
record RoundGradient(int k, double[] p_S, Kept kept_SE, int[] choice_A, int choices, boolean apart)
    implements Estimator {
  @Override
  public void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback) {
    double[] s_S = feedback.s_S();
    boolean rerouted = routing.expert_S() != routing.wanted_S();
    if (apart) {
      double[] p_E = new double[routing.experts()];
      for (int slot = 0; slot < p_S.length; slot++) {
        addRow(dLogits_TE, routing, s_S, slot, p_E);
      }
    } else if (rerouted) {
      for (int slot = 0; slot < p_S.length; slot++) {
        addKept(dLogits_TE, routing, s_S, slot);
      }
    } else if (kept_SE != null) {
      for (int i = 0; i < choices; i++) {
        addKept(dLogits_TE, routing, s_S, choice_A[i]);
      }
    } else {
      addAll(dLogits_TE, routing, s_S);
    }
  }

  private void addRow(double[] dLogits_TE, Routing routing, double[] s_S, int slot, double[] p_E) {
    int from = slot / k * p_E.length;
    double c = s_S[slot] * p_S[slot];
    int chosen = from + routing.expert_S()[slot];
    double own = dLogits_TE[chosen] + c * (1 - p_S[slot]);
    storeRow(p_E, routing, slot);
    Rows.subtract(dLogits_TE, from, c, p_E, 0, p_E.length);
    dLogits_TE[chosen] = own;
  }

  /** The probabilities of a slot's round, one by one. */
  void storeRow(double[] p_E, Routing routing, int slot) {
    int from = slot / k * p_E.length;
    double max = Double.NEGATIVE_INFINITY;
    for (int e = 0; e < p_E.length; e++) {
      boolean has = (word(routing, slot, e / Kept.BITS) >>> e & 1) != 0;
      p_E[e] = has ? routing.logits_TE()[from + e] : Double.NEGATIVE_INFINITY;
      max = Math.max(max, p_E[e]);
    }
    Rows.softmax(p_E, p_E, max, 0, p_E.length);
  }

  private void addKept(double[] dLogits_TE, Routing routing, double[] s_S, int slot) {
    int experts = routing.experts();
    int from = slot / k * experts;
    int own = routing.expert_S()[slot];
    double p = p_S[slot];
    double c = s_S[slot] * p;
    double factor = c * (p / routing.p_TE()[from + own]);
    for (int w = 0; w < Kept.words(experts); w++) {
      int begin = w * Kept.BITS;
      int count = Math.min(Kept.BITS, experts - begin);
      long word = word(routing, slot, w) & (own / Kept.BITS == w ? ~(1L << own) : -1);
      Rows.subtract(dLogits_TE, factor, routing.p_TE(), word, from + begin, from + begin + count);
    }
    dLogits_TE[from + own] += c * (1 - p);
  }

  /** Bits of the experts of a slot's round, from {@code 64 * w} on. */
  private long word(Routing routing, int slot, int w) {
    int[] wanted_S = routing.wanted_S();
    boolean rerouted = routing.expert_S()[slot] != wanted_S[slot];
    if (!rerouted && kept_SE != null) {
      return kept_SE.word(slot, w);
    }
    long word = -1L >>> -Math.min(Kept.BITS, routing.experts() - w * Kept.BITS);
    for (int s = slot / k * k; !rerouted && s < slot; s++) {
      word &= wanted_S[s] / Kept.BITS == w ? ~(1L << wanted_S[s]) : -1;
    }
    return word;
  }

  /** Of rounds that had all experts but those chosen before: every round of a token at once. */
  private void addAll(double[] dLogits_TE, Routing routing, double[] s_S) {
    int experts = routing.experts();
    int[] expert_S = routing.expert_S();
    double[] q_TE = routing.p_TE();
    double[] own_K = new double[k];
    for (int t = 0; t < routing.tokens(); t++) {
      int from = t * experts;
      double factors = 0;
      for (int r = 0; r < k; r++) {
        int slot = t * k + r;
        int own = from + expert_S[slot];
        double c = s_S[slot] * p_S[slot];
        own_K[r] = dLogits_TE[own] + c * (1 - p_S[slot]) - q_TE[own] * factors;
        factors += c * (p_S[slot] / q_TE[own]);
      }
      Rows.subtract(dLogits_TE, factors, q_TE, from, from + experts);
      for (int r = 0; r < k; r++) {
        dLogits_TE[from + expert_S[t * k + r]] = own_K[r];
      }
    }
  }
}
