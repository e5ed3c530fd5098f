package troupe.router.gate;

import troupe.Closeness;
import troupe.Golden;

/** How close gates come to the golden files. */
final class GoldenTolerance {
  /**
   * Some 5000 roundings of a double: room for another order of operations, for no wrong formula.
   */
  static final double RELATIVE = 1e-12;

  /**
   * Where numbers near one cancel, such as {@code f_j - sum_i p_i f_i}, nothing relative is left of
   * the last digits; ten roundings of one are allowed there.
   */
  static final double FLOOR = 2e-15;

  private GoldenTolerance() {}

  static void assertGolden(Golden expected, String key, double[] actual) {
    Closeness.assertClose(expected + " " + key, expected.doubles(key), actual, RELATIVE, FLOOR);
  }

  static void assertGolden(Golden expected, String key, double actual) {
    Closeness.assertClose(expected + " " + key, expected.number(key), actual, RELATIVE, FLOOR);
  }
}
