package troupe.router.gate;

/** How a gate makes the gradient of the logits. */
@FunctionalInterface
public interface Estimator {
  /** No gradient: the choice does not depend on the logits, or is not to be learned. */
  Estimator NONE = (dLogits_TE, routing, feedback) -> {};

  /**
   * Adds the gradient of the logits before jitter that flows through the outputs: {@code dLogits +=
   * ...}.
   */
  void addGradient(double[] dLogits_TE, Routing routing, Feedback feedback);

  /**
   * What is minimised besides the outputs, for each expert, if it is the estimator's own: the loss
   * of the step, over all ranks and micro-batches, has {@code sum_j load_j * penalty_j / tokens} in
   * it, load_j being the share of the tokens that expert j was chosen for, without gradient.
   *
   * @return one for each expert; empty for none
   */
  default double[] penalty(Routing routing) {
    return new double[0];
  }
}
