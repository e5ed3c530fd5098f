package troupe.coordinator.metrics;

/** Cuts the steps of a run into at most a given number of buckets of equal width. */
record StepBuckets(long firstStep, long width, int count) {
  static StepBuckets of(long firstStep, long lastStep, int most) {
    long span = lastStep - firstStep + 1;
    long width = Math.max(1, Math.ceilDiv(span, most));
    return new StepBuckets(firstStep, width, (int) Math.ceilDiv(span, width));
  }

  int of(long step) {
    return (int) ((step - firstStep) / width);
  }

  long firstStepOf(int bucket) {
    return firstStep + bucket * width;
  }
}
