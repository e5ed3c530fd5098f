package troupe.router.gate;

/**
 * A rule of integration over [0, 1], {@code int_0^1 g(u) du ~ sum_i weight_i g(node_i)}, exact
 * where g is a polynomial of no higher degree than {@code degree}. An estimator that looks at the
 * slope of the loss along an expert's output is thus exact for losses that are polynomials of
 * {@code degree + 1} there.
 *
 * <p>All weights are positive and sum to one, so a node can be drawn instead of all being summed.
 *
 * @param nodes ascending, in [0, 1]
 * @param weights positive; they sum to one
 */
record Quadrature(double[] nodes, double[] weights, int degree) {
  /** The right end: Euler's rule. */
  static final Quadrature EULER = new Quadrature(new double[] {1}, new double[] {1}, 0);

  /** The mid-point rule, that of SparseMixer. */
  static final Quadrature MIDPOINT = new Quadrature(new double[] {0.5}, new double[] {1}, 1);

  /** Heun's method of third order, which is Radau's rule with two nodes. */
  static final Quadrature HEUN =
      new Quadrature(new double[] {1.0 / 3, 1}, new double[] {0.75, 0.25}, 2);

  /**
   * Heun's as SparseMixer-v2 has it, with 0.3333 for a third (microsoft/SparseMixer@1b41d56,
   * sparsemixer_v2.py): strictly exact for constants only, else off by parts in ten thousand.
   */
  static final Quadrature HEUN_PUBLISHED =
      new Quadrature(new double[] {0.3333, 1}, new double[] {0.75, 0.25}, 0);

  /**
   * Simpson's rule, into which the Runge-Kutta method of fourth order falls where the slope depends
   * on the place alone. Its node at 0 leaves the expert's output out.
   */
  static final Quadrature SIMPSON =
      new Quadrature(new double[] {0, 0.5, 1}, new double[] {1.0 / 6, 4.0 / 6, 1.0 / 6}, 3);

  /** The rule that a config names. */
  static Quadrature of(String rule) {
    return switch (rule) {
      case "euler" -> EULER;
      case "midpoint" -> MIDPOINT;
      case "heun" -> HEUN;
      case "heun-published" -> HEUN_PUBLISHED;
      case "simpson" -> SIMPSON;
      default -> {
        int points = Integer.parseInt(rule.substring(rule.indexOf('-') + 1));
        yield rule.startsWith("gauss-") ? gauss(points) : radau(points);
      }
    };
  }

  /** Gauss' rule of {@code n} nodes, of degree {@code 2n - 1}: no rule has a higher one. */
  static Quadrature gauss(int n) {
    Jacobi legendre = new Jacobi(n, 0);
    double[] nodes = new double[n];
    double[] weights = new double[n];
    for (int i = 0; i < n; i++) {
      double x = legendre.root(i);
      nodes[i] = (1 + x) / 2;
      weights[i] = legendre.christoffel(x);
    }
    return new Quadrature(nodes, weights, 2 * n - 1);
  }

  /**
   * Radau's rule of {@code n} nodes with one at 1, of degree {@code 2n - 2}: the highest where the
   * full output, at which training and evaluation agree, has to be among the nodes.
   */
  static Quadrature radau(int n) {
    Jacobi jacobi = new Jacobi(n - 1, 1);
    double[] nodes = new double[n];
    double[] weights = new double[n];
    for (int i = 0; i < n - 1; i++) {
      double x = jacobi.root(i);
      nodes[i] = (1 + x) / 2;
      weights[i] = 2 * jacobi.christoffel(x) / (1 - x);
    }
    nodes[n - 1] = 1;
    weights[n - 1] = 1.0 / ((double) n * n);
    return new Quadrature(nodes, weights, 2 * n - 2);
  }

  /** The node that a draw {@code u} in [0, 1) stands for, each as likely as its weight says. */
  double node(double u) {
    double cumulative = 0;
    int node = 0;
    for (int i = 0; i < nodes.length - 1; i++) {
      cumulative += weights[i];
      // Not >=: the authors keep the full scale where the draw exceeds 3/4. The sign is set where
      // it
      // does; a branch would be taken now and then.
      node += (int) (Double.doubleToRawLongBits(cumulative - u) >>> 63);
    }
    return nodes[node];
  }
}
