package troupe.router.gate;

import troupe.core.config.GateConfig.Reinforce;

/**
 * What an estimator of the score function subtracts from a token's loss: anything that does not
 * depend on the token's own choice leaves the expectation alone, and what is near the loss leaves
 * little variance.
 */
@FunctionalInterface
interface LossBaseline {
  /**
   * The baseline of every token, nats a token.
   *
   * @param state of the gate
   */
  double[] perToken(Feedback.Losses losses, double[] state);

  /** What the baseline keeps from step to step, or {@code null}. */
  default GateState state() {
    return null;
  }

  /** The baseline that a config names. */
  static LossBaseline of(Reinforce config) {
    return switch (config.baseline()) {
      case CONSTANT -> new ConstantBaseline(config.value());
      case EMA -> new MovingAverageBaseline(config.value(), config.decay());
      case LEAVE_ONE_OUT -> new LeaveOneOutBaseline(config.value());
    };
  }
}
