package troupe.coordinator.lab;

import java.util.SplittableRandom;

/**
 * Losses that tell estimators apart by their smoothness:
 *
 * <pre>
 *   QUADRATIC  y'Ay / 2 + b'y                     the mid-point rule is exact
 *   CUBIC      y'Ay / 2 + b'y + sum(c y^3) / 3    Heun's rule is exact, the mid-point rule is not
 *   SOFTPLUS   sum(ln(1 + exp(Ay + b)))           no rule of finitely many points is
 * </pre>
 *
 * @param c_D of the cubic one; ignored by the others
 */
record VectorLoss(Kind kind, double[][] a_DD, double[] b_D, double[] c_D) implements SmoothLoss {
  /** Which loss. */
  enum Kind {
    QUADRATIC,
    CUBIC,
    SOFTPLUS
  }

  /**
   * A random one. A is positive definite, so that the quadratic one is a bowl, and its entries are
   * such that curvature matters where outputs are near one.
   */
  static VectorLoss random(Kind kind, int width, SplittableRandom random) {
    double[][] root_DD = Gaussians.matrix(width, width, 1, random);
    double[][] a_DD = new double[width][width];
    for (int i = 0; i < width; i++) {
      for (int j = 0; j < width; j++) {
        for (int k = 0; k < width; k++) {
          a_DD[i][j] += root_DD[k][i] * root_DD[k][j] / width;
        }
      }
    }
    return new VectorLoss(
        kind,
        kind == Kind.SOFTPLUS ? root_DD : a_DD,
        Gaussians.vector(width, 1, random),
        Gaussians.vector(width, 1, random));
  }

  @Override
  public double value(double[] y_D) {
    double sum = 0;
    for (int i = 0; i < y_D.length; i++) {
      double ay = row(i, y_D);
      sum +=
          switch (kind) {
            case QUADRATIC -> 0.5 * y_D[i] * ay + b_D[i] * y_D[i];
            case CUBIC ->
                0.5 * y_D[i] * ay + b_D[i] * y_D[i] + c_D[i] * y_D[i] * y_D[i] * y_D[i] / 3;
            case SOFTPLUS -> softplus(ay + b_D[i]);
          };
    }
    return sum;
  }

  @Override
  public double[] gradient(double[] y_D) {
    int width = y_D.length;
    double[] gradient_D = new double[width];
    for (int i = 0; i < width; i++) {
      if (kind == Kind.SOFTPLUS) {
        double slope = 1 / (1 + Math.exp(-(row(i, y_D) + b_D[i])));
        for (int j = 0; j < width; j++) {
          gradient_D[j] += a_DD[i][j] * slope;
        }
      } else {
        gradient_D[i] += b_D[i] + (kind == Kind.CUBIC ? c_D[i] * y_D[i] * y_D[i] : 0);
        for (int j = 0; j < width; j++) {
          gradient_D[i] += 0.5 * (a_DD[i][j] + a_DD[j][i]) * y_D[j];
        }
      }
    }
    return gradient_D;
  }

  private double row(int i, double[] y_D) {
    double sum = 0;
    for (int j = 0; j < y_D.length; j++) {
      sum += a_DD[i][j] * y_D[j];
    }
    return sum;
  }

  private static double softplus(double z) {
    return Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
  }
}
