package troupe.coordinator.lab;

import java.util.Arrays;
import java.util.OptionalLong;

/** What is said about a few numbers, and about curves. */
final class Statistics {
  private Statistics() {}

  /** The mean; NaN of none. */
  static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  /** Standard deviation of a sample, over n - 1; NaN of fewer than two. */
  static double spread(double[] values) {
    if (values.length < 2) {
      return Double.NaN;
    }
    double mean = mean(values);
    double sum = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    return Math.sqrt(sum / (values.length - 1));
  }

  /** The middle one, or the mean of the two in the middle; NaN of none. */
  static double median(double[] values) {
    return quantile(values, 0.5);
  }

  /** Linear between the two nearest; NaN of none. */
  static double quantile(double[] values, double share) {
    if (values.length == 0) {
      return Double.NaN;
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    double at = share * (sorted.length - 1);
    int below = (int) Math.floor(at);
    int above = (int) Math.ceil(at);
    return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
  }

  /** The mean of the last {@code count} values, of all if there are fewer. */
  static double meanOfLast(double[] values, int count) {
    return mean(Arrays.copyOfRange(values, Math.max(0, values.length - count), values.length));
  }

  /**
   * The first step at which the mean of the last {@code window} losses is {@code goal} or less;
   * empty if there is none. A window that is not full yet does not count: the first losses of a run
   * are too few to be called a level.
   *
   * @param steps the step of each loss, ascending
   */
  static OptionalLong stepsTo(double goal, long[] steps, double[] losses, int window) {
    double sum = 0;
    for (int i = 0; i < losses.length; i++) {
      sum += losses[i];
      if (i >= window) {
        sum -= losses[i - window];
      }
      // A hair above: the sum of the run that the goal comes from is rounded in another order.
      if (i >= window - 1 && sum / window <= goal * (1 + 1e-12)) {
        return OptionalLong.of(steps[i]);
      }
    }
    return OptionalLong.empty();
  }

  /** Mean of each stretch of {@code width} values; the last may be shorter. */
  static double[] bucketMeans(double[] values, int width) {
    double[] means = new double[Math.ceilDiv(values.length, width)];
    for (int b = 0; b < means.length; b++) {
      means[b] =
          mean(Arrays.copyOfRange(values, b * width, Math.min(values.length, (b + 1) * width)));
    }
    return means;
  }
}
