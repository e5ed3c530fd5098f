package troupe.router.gate;

/**
 * A bias for each expert that grows by {@code rate} after a step with less than the mean load and
 * shrinks by it after one with more. It starts at zero.
 */
record LoadBias(double rate) implements GateState {
  @Override
  public int size(int experts) {
    return experts;
  }

  @Override
  public double initial() {
    return 0;
  }

  /** {@code dState_i += sign(load_i - mean)}, split over micro-batches by their tokens. */
  @Override
  public void addChange(double[] dState, double[] state, int tokens, Feedback feedback) {
    double[] load_E = feedback.load_E();
    double total = 0;
    for (double load : load_E) {
      total += rows(load, feedback);
    }
    double part = tokens / (double) feedback.tokens();
    for (int e = 0; e < load_E.length; e++) {
      // In whole rows: shares that are equal may differ in their last digit from their mean.
      dState[e] += part * Math.signum(rows(load_E[e], feedback) * load_E.length - total);
    }
  }

  private static double rows(double load, Feedback feedback) {
    return Math.rint(load * feedback.tokens());
  }
}
