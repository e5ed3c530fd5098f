package troupe.coordinator.simulate;

/** The line through measured times. */
final class LeastSquares {
  private LeastSquares() {}

  /**
   * Intercept and slope of the line that is nearest to the points relative to their height, neither
   * below zero.
   */
  static double[] line(double[] x, double[] y) {
    double w = 0;
    double wx = 0;
    double wy = 0;
    double wxx = 0;
    double wxy = 0;
    for (int i = 0; i < x.length; i++) {
      double weight = 1 / (y[i] * y[i]);
      w += weight;
      wx += weight * x[i];
      wy += weight * y[i];
      wxx += weight * x[i] * x[i];
      wxy += weight * x[i] * y[i];
    }
    double slope = (w * wxy - wx * wy) / (w * wxx - wx * wx);
    double intercept = (wy - slope * wx) / w;
    if (!(slope >= 0)) {
      return new double[] {wy / w, 0};
    }
    return intercept >= 0 ? new double[] {intercept, slope} : new double[] {0, wxy / wxx};
  }
}
