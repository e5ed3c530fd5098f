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
}
