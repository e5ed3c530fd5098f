package troupe.router.gate;

import troupe.Golden;

/** The loss l(y) of a case of estimator_expectation: quadratic, cubic or softplus. */
record ExampleLoss(String kind, double[][] a, double[] b, double[] c3) implements OneToken.Loss {
  static ExampleLoss of(Golden golden) {
    return new ExampleLoss(
        golden.text("loss"), golden.matrix("A"), golden.doubles("b"), golden.doubles("c3"));
  }

  @Override
  public double value(double[] y) {
    int n = y.length;
    double value = 0;
    for (int i = 0; i < n; i++) {
      double ay = 0;
      for (int j = 0; j < n; j++) {
        ay += a[i][j] * y[j];
      }
      value +=
          switch (kind) {
            case "quadratic" -> 0.5 * y[i] * ay + b[i] * y[i];
            case "cubic" -> 0.5 * y[i] * ay + b[i] * y[i] + c3[i] * y[i] * y[i] * y[i] / 3;
            case "softplus" -> Math.log1p(Math.exp(ay + b[i]));
            default -> throw new IllegalArgumentException("loss: " + kind);
          };
    }
    return value;
  }

  @Override
  public double[] gradient(double[] y) {
    int n = y.length;
    double[] gradient = new double[n];
    for (int i = 0; i < n; i++) {
      switch (kind) {
        case "quadratic", "cubic" -> {
          gradient[i] += b[i] + (kind.equals("cubic") ? c3[i] * y[i] * y[i] : 0);
          for (int j = 0; j < n; j++) {
            gradient[i] += 0.5 * (a[i][j] + a[j][i]) * y[j];
          }
        }
        case "softplus" -> {
          double z = b[i];
          for (int j = 0; j < n; j++) {
            z += a[i][j] * y[j];
          }
          for (int j = 0; j < n; j++) {
            gradient[j] += a[i][j] / (1 + Math.exp(-z));
          }
        }
        default -> throw new IllegalArgumentException("loss: " + kind);
      }
    }
    return gradient;
  }
}
