package troupe.coordinator.lab;

/**
 * One curve, or the dots of one method.
 *
 * @param name the same in all charts of what has the same colour in them
 * @param x ascending; empty for dots
 * @param y values; NaN is a gap
 * @param low lower edge of a band around the curve, {@code null} without one
 * @param high upper edge
 */
record Series(String name, double[] x, double[] y, double[] low, double[] high) {
  static Series of(String name, double[] x, double[] y) {
    return new Series(name, x, y, null, null);
  }

  static Series dots(String name, double[] y) {
    return new Series(name, new double[0], y, null, null);
  }

  boolean hasBand() {
    return low != null;
  }
}
