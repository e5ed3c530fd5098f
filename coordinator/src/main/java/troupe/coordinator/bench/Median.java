package troupe.coordinator.bench;

import java.util.Arrays;

/** The middle of what was measured, which a few slow steps do not move. */
public final class Median {
  private Median() {}

  /**
   * The value in the middle, or the mean of the two there.
   *
   * @param values at least one, in any order
   */
  public static double of(double[] values) {
    if (values.length == 0) {
      throw new IllegalArgumentException("values: none (expected: at least one)");
    }
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }
}
