package troupe.coordinator.lab;

import java.util.SplittableRandom;

/** Normal numbers of mean zero. */
final class Gaussians {
  private Gaussians() {}

  static double[] vector(int length, double deviation, SplittableRandom random) {
    double[] values = new double[length];
    for (int i = 0; i < length; i++) {
      values[i] = deviation * random.nextGaussian();
    }
    return values;
  }

  static double[][] matrix(int rows, int columns, double deviation, SplittableRandom random) {
    double[][] values = new double[rows][];
    for (int i = 0; i < rows; i++) {
      values[i] = vector(columns, deviation, random);
    }
    return values;
  }
}
