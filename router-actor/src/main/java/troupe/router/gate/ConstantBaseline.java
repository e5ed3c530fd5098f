package troupe.router.gate;

import java.util.Arrays;

/** The same baseline for every token and step. */
record ConstantBaseline(double value) implements LossBaseline {
  @Override
  public double[] perToken(Feedback.Losses losses, double[] state) {
    double[] baseline_T = new double[losses.mean_T().length];
    Arrays.fill(baseline_T, value);
    return baseline_T;
  }
}
