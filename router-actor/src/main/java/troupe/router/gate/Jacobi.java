package troupe.router.gate;

/**
 * The Jacobi polynomials {@code P_n^(alpha, 0)}, alpha 0 or 1, whose roots are the nodes of Gauss'
 * (alpha 0: Legendre's polynomials) and of Radau's quadrature.
 *
 * <p>Source: the three-term recurrence, derivative and the asymptotic place of the roots in
 * Abramowitz and Stegun, "Handbook of Mathematical Functions", 22.7.1, 22.8.1 and 22.16.1.
 */
final class Jacobi {
  /** Newton's method doubles the digits; from the asymptotic place, two are right at the start. */
  private static final int NEWTON_STEPS = 12;

  private final int degree;
  private final int alpha;

  Jacobi(int degree, int alpha) {
    this.degree = degree;
    this.alpha = alpha;
  }

  /** The {@code k}-th root from below, from 0. */
  double root(int k) {
    double angle = Math.PI * (degree - k - 0.25 + 0.5 * alpha) / (degree + 0.5 * (alpha + 1));
    double x = Math.cos(angle);
    for (int step = 0; step < NEWTON_STEPS; step++) {
      x -= value(degree, x) / slope(x);
    }
    return x;
  }

  /** {@code 1 / ((1 - x^2) P'(x)^2)}: what weights at a root are made of. */
  double christoffel(double x) {
    double slope = slope(x);
    return 1 / ((1 - x * x) * slope * slope);
  }

  private double value(int n, double x) {
    double before = 0;
    double value = 1;
    for (int i = 1; i <= n; i++) {
      double next = i == 1 ? alpha + 1 + (alpha + 2) * (x - 1) / 2 : next(i, x, value, before);
      before = value;
      value = next;
    }
    return value;
  }

  private double next(int n, double x, double value, double before) {
    double sum = 2.0 * n + alpha;
    return ((sum - 1) * (sum * (sum - 2) * x + alpha * alpha) * value
            - 2 * (n + alpha - 1) * (n - 1) * sum * before)
        / (2 * n * (n + alpha) * (sum - 2));
  }

  private double slope(double x) {
    double sum = 2.0 * degree + alpha;
    return (degree * (alpha - sum * x) * value(degree, x)
            + 2.0 * degree * (degree + alpha) * value(degree - 1, x))
        / (sum * (1 - x * x));
  }
}
