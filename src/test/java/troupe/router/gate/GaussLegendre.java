package troupe.router.gate;

import java.util.function.DoubleFunction;

/** Gauss-Legendre quadrature over [0, 1]: exact for polynomials up to degree 2n - 1. */
final class GaussLegendre {
  private static final int NODES = 40;
  private static final int NEWTON_STEPS = 20;

  private GaussLegendre() {}

  /** The integral of a vector-valued function, component by component. */
  static double[] integrate(DoubleFunction<double[]> f) {
    double[] integral = null;
    for (int i = 0; i < NODES; i++) {
      double x = Math.cos(Math.PI * (i + 0.75) / (NODES + 0.5));
      for (int step = 0; step < NEWTON_STEPS; step++) {
        double[] legendre = legendre(x);
        x -= legendre[0] / legendre[1];
      }
      double slope = legendre(x)[1];
      double weight = 1 / ((1 - x * x) * slope * slope);
      double[] value = f.apply((x + 1) / 2);
      integral = integral == null ? new double[value.length] : integral;
      for (int j = 0; j < value.length; j++) {
        integral[j] += weight * value[j];
      }
    }
    return integral;
  }

  /** The Legendre polynomial of degree n and its derivative. */
  private static double[] legendre(double x) {
    double before = 1;
    double value = x;
    for (int n = 2; n <= NODES; n++) {
      double next = ((2 * n - 1) * x * value - (n - 1) * before) / n;
      before = value;
      value = next;
    }
    return new double[] {value, NODES * (x * value - before) / (x * x - 1)};
  }
}
