package troupe.router.gate;

/**
 * Numbers of a layer that a gate keeps from step to step and changes by a rule of its own, not by
 * AdamW: a bias that evens out the load, a baseline. They are part of the trunk's parameters, so
 * they are the same on every rank, saved with it, and come back with it.
 *
 * <p>After every step {@code state -= rate * sum of the changes of all micro-batches and ranks}.
 */
public interface GateState {
  /** How many numbers a layer has. */
  int size(int experts);

  /** What each of them is before the first step. */
  double initial();

  /** The factor of a change. */
  double rate();

  /**
   * {@code dState += change} of one micro-batch. What is a property of the whole step has to be
   * weighted by {@code tokens / feedback.tokens()}, since the changes of all are added.
   *
   * @param state the numbers that the routing was made with; empty where they are on a device and
   *     the gate does not {@link Gate#needsLosses need losses}: to read them is to wait for it
   * @param tokens of the micro-batch
   */
  void addChange(double[] dState, double[] state, int tokens, Feedback feedback);
}
