package troupe.router.gate;

import java.util.Arrays;
import troupe.core.config.RunConfig.Baseline;
import troupe.core.config.RunConfig.Reinforce;

/**
 * What is subtracted from the loss in an estimator of the score function, which takes variance away
 * and adds no bias as long as it does not depend on the choice that it is compared with:
 *
 * <pre>
 *   CONSTANT       b = value
 *   EMA            b = decay b + (1 - decay) mean loss of the step, value at first
 *   LEAVE_ONE_OUT  b = mean loss of the other sequences of the micro-batch, value if there are none
 * </pre>
 *
 * All in nats a token.
 */
final class ScoreBaseline implements GateState {
  private final Reinforce config;

  ScoreBaseline(Reinforce config) {
    this.config = config;
  }

  /** What the gate has to keep: this for a moving average, else {@code null}. */
  GateState state() {
    return config.baseline() == Baseline.EMA ? this : null;
  }

  /**
   * The baseline of each token.
   *
   * @param state of the moving average, before the step
   */
  double[] each(Feedback.Losses losses, double[] state) {
    double[] b_T = new double[losses.mean_T().length];
    Arrays.fill(b_T, config.baseline() == Baseline.EMA ? state[0] : config.value());
    int sequences = b_T.length / losses.span();
    if (config.baseline() == Baseline.LEAVE_ONE_OUT && sequences > 1) {
      double sum = 0;
      for (int from = 0; from < b_T.length; from += losses.span()) {
        sum += losses.mean_T()[from];
      }
      for (int from = 0; from < b_T.length; from += losses.span()) {
        double others = (sum - losses.mean_T()[from]) / (sequences - 1);
        Arrays.fill(b_T, from, from + losses.span(), others);
      }
    }
    return b_T;
  }

  @Override
  public int size(int experts) {
    return 1;
  }

  @Override
  public double initial() {
    return config.value();
  }

  @Override
  public double rate() {
    return 1 - config.decay();
  }

  /** {@code sum over tokens of (b - loss) / tokens of the step}. */
  @Override
  public void addChange(double[] dState, double[] state, Routing routing, Feedback feedback) {
    Feedback.Losses losses = feedback.losses();
    double lossSum = 0;
    for (int from = 0; from < losses.mean_T().length; from += losses.span()) {
      // At the first token of a sequence the mean is that of the whole sequence.
      lossSum += losses.mean_T()[from] * losses.span();
    }
    dState[0] += (state[0] * routing.tokens() - lossSum) / feedback.tokens();
  }
}
