package troupe.coordinator.metrics;

/**
 * An exponential moving average that starts at its first value, and that values which are not
 * finite leave alone.
 */
final class MovingAverage {
  private final double keep;
  private double sum;
  private double weight;

  /**
   * @param halfLife after how many values a value counts half
   */
  MovingAverage(double halfLife) {
    keep = Math.pow(0.5, 1 / halfLife);
  }

  /** Adds a value and returns the average, NaN before the first finite value. */
  double add(double value) {
    if (Double.isFinite(value)) {
      sum = keep * sum + value;
      weight = keep * weight + 1;
    }
    return sum / weight;
  }
}
