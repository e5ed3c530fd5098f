package troupe.coordinator.metrics;

/** How busy the experts of one layer were over time, relative to an even load. */
final class LoadMap {
  private final StepBuckets buckets;
  private final long[][] tokens_BE;

  LoadMap(StepBuckets buckets, int numExperts) {
    this.buckets = buckets;
    this.tokens_BE = new long[buckets.count()][numExperts];
  }

  /** Adds the load of one step; one of another number of experts is none of this layer's. */
  void add(long step, long[] load_E) {
    long[] tokens_E = tokens_BE[buckets.of(step)];
    if (load_E.length == tokens_E.length) {
      for (int expert = 0; expert < tokens_E.length; expert++) {
        tokens_E[expert] += load_E[expert];
      }
    }
  }

  int numBuckets() {
    return tokens_BE.length;
  }

  int numExperts() {
    return tokens_BE.length == 0 ? 0 : tokens_BE[0].length;
  }

  /**
   * The tokens of an expert over the mean of its layer: 1 is an even load. NaN where there were no
   * tokens.
   */
  double share(int bucket, int expert) {
    long sum = 0;
    for (long tokens : tokens_BE[bucket]) {
      sum += tokens;
    }
    return (double) tokens_BE[bucket][expert] * tokens_BE[bucket].length / sum;
  }
}
