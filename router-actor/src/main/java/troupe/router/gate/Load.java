package troupe.router.gate;

/** What a routing says about the experts' load. */
public final class Load {
  private Load() {}

  /** Rows that each expert was chosen for, before capacity, over all slots: {@code E} counts. */
  public static int[] routed(Routing routing) {
    int[] routed_E = new int[routing.experts()];
    for (int expert : routing.wanted_S()) {
      routed_E[expert]++;
    }
    return routed_E;
  }

  /** Rows that each expert was the first choice for, before capacity. */
  public static int[] firstChoices(Routing routing) {
    int[] first_E = new int[routing.experts()];
    for (int t = 0; t < routing.tokens(); t++) {
      if (routing.firstSlot_T1()[t] < routing.firstSlot_T1()[t + 1]) {
        first_E[routing.wanted_S()[routing.firstSlot_T1()[t]]]++;
      }
    }
    return first_E;
  }

  /** {@code sumP_E = sum over tokens of p_TE}, in token order. */
  public static double[] sumP(Routing routing) {
    int experts = routing.experts();
    double[] p_TE = routing.p_TE();
    double[] sumP_E = new double[experts];
    for (int from = 0; from < p_TE.length; from += experts) {
      for (int e = 0; e < experts; e++) {
        sumP_E[e] += p_TE[from + e];
      }
    }
    return sumP_E;
  }

  /** Tokens for which the mask kept more than one expert: only these teach the router. */
  public static int alive(Routing routing) {
    Kept kept_TE = routing.kept_TE();
    if (kept_TE == null) {
      return routing.experts() > 1 ? routing.tokens() : 0;
    }
    int alive = 0;
    for (int t = 0; t < routing.tokens(); t++) {
      alive += kept_TE.count(t) > 1 ? 1 : 0;
    }
    return alive;
  }

  /**
   * Entropy in nats of the load: ln E when even, 0 when one expert has every row or none has any.
   */
  public static double entropy(long[] routed_E) {
    long total = 0;
    for (long routed : routed_E) {
      total += routed;
    }
    double entropy = 0;
    for (long routed : routed_E) {
      if (routed > 0) {
        double share = (double) routed / total;
        entropy -= share * Math.log(share);
      }
    }
    return entropy;
  }
}
