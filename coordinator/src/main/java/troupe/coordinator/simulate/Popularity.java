package troupe.coordinator.simulate;

import troupe.core.random.Philox;

/**
 * How popular each expert is: the r-th of E has weight {@code r^-s} (Zipf's law with exponent s),
 * and which expert is the r-th is drawn, and drifts: from step to step pairs of experts, drawn too,
 * change places. The law is thus the same in every step; who is hot is not.
 */
final class Popularity {
  private static final int RANKS = 0x14;
  private static final int DRIFT = 0x15;

  private final long seed;
  private final double drift;
  private final int[] rank_E;
  private final double[] logWeightOfRank_E;
  private long swaps;

  /**
   * The popularity of {@code experts} experts in step 0.
   *
   * @param zipf the exponent; 0 makes all alike
   * @param drift share of the experts that change places from step to step
   */
  Popularity(long seed, int experts, double zipf, double drift) {
    this.seed = seed;
    this.drift = drift;
    this.rank_E = new int[experts];
    this.logWeightOfRank_E = new double[experts];
    for (int e = 0; e < experts; e++) {
      rank_E[e] = e;
      logWeightOfRank_E[e] = -zipf * Math.log(e + 1);
    }
    for (int e = experts - 1; e > 0; e--) {
      swap(e, below(e + 1, RANKS, e));
    }
  }

  /** Goes on to a later step; steps may not go back. */
  void advance(int step) {
    for (long last = (long) (step * drift * rank_E.length / 2); swaps < last; swaps++) {
      int index = (int) swaps;
      swap(below(rank_E.length, DRIFT, 2 * index), below(rank_E.length, DRIFT, 2 * index + 1));
    }
  }

  private int below(int bound, int purpose, int index) {
    long word = Philox.word64(seed, index, 0, purpose << 8);
    return (int) Math.unsignedMultiplyHigh(word, bound);
  }

  private void swap(int a, int b) {
    int rank = rank_E[a];
    rank_E[a] = rank_E[b];
    rank_E[b] = rank;
  }

  /** The rank of an expert in popularity, 0 the most popular. */
  int rank(int expert) {
    return rank_E[expert];
  }

  /** {@code ln} of the weight of each expert, in a new array. */
  double[] logWeight_E() {
    double[] logWeight_E = new double[rank_E.length];
    for (int e = 0; e < logWeight_E.length; e++) {
      logWeight_E[e] = logWeightOfRank_E[rank_E[e]];
    }
    return logWeight_E;
  }
}
