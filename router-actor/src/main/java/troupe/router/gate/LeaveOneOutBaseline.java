package troupe.router.gate;

import java.util.Arrays;

/**
 * The mean loss of the other sequences of the micro-batch. Unbiased, for without a capacity no
 * choice of this sequence touches those. A micro-batch of a single sequence has no others: there it
 * is the constant.
 *
 * @param value where there is one sequence
 */
record LeaveOneOutBaseline(double value) implements LossBaseline {
  @Override
  public double[] perToken(Feedback.Losses losses, double[] state) {
    int tokens = losses.mean_T().length;
    int span = losses.span();
    if (tokens <= span) {
      return new ConstantBaseline(value).perToken(losses, state);
    }
    double sum = 0;
    for (int t = 0; t < tokens; t += span) {
      sum += losses.mean_T()[t] * Math.min(span, tokens - t);
    }
    double[] baseline_T = new double[tokens];
    for (int t = 0; t < tokens; t += span) {
      int length = Math.min(span, tokens - t);
      double others = (sum - losses.mean_T()[t] * length) / (tokens - length);
      Arrays.fill(baseline_T, t, t + length, others);
    }
    return baseline_T;
  }
}
