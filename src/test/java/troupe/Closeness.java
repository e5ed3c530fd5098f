package troupe;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.fail;

/** Comparison of numbers that rounding may set apart, element by element. */
public final class Closeness {
  private Closeness() {}

  /**
   * Passes where {@code |a - b| <= relative * max(|a|, |b|) + floor}, or both are NaN or the same
   * infinity.
   */
  public static void assertClose(
      String what, double[] expected, double[] actual, double relative, double floor) {
    assertEquals(expected.length, actual.length, what + ": length");
    for (int i = 0; i < expected.length; i++) {
      double a = expected[i];
      double b = actual[i];
      double allowed = relative * Math.max(Math.abs(a), Math.abs(b)) + floor;
      if (Double.compare(a, b) != 0 && !(Math.abs(a - b) <= allowed)) {
        fail(what + "[" + i + "]: " + b + " (expected: " + a + ", off by " + (b - a) + ")");
      }
    }
  }

  /** {@link #assertClose(String, double[], double[], double, double)} of two numbers. */
  public static void assertClose(
      String what, double expected, double actual, double relative, double floor) {
    assertClose(what, new double[] {expected}, new double[] {actual}, relative, floor);
  }
}
