package troupe.core.math;

import static org.junit.jupiter.api.Assertions.assertTrue;

/** Distance of doubles in units in the last place of the expected one. */
final class Ulps {
  private Ulps() {}

  static void assertWithin(double ulps, double expected, double found, Object argument) {
    if (Double.doubleToLongBits(expected) == Double.doubleToLongBits(found)) {
      return;
    }
    double error = Math.abs(found - expected) / Math.ulp(expected);
    assertTrue(error <= ulps, argument + ": " + found + " (expected: " + expected + ")");
  }
}
