package troupe.coordinator.lab;

/**
 * A classifier on the residual stream: cross entropy of {@code softmax((x + y) H)} at the label.
 *
 * @param h_DC weights of the head, one for all tokens
 */
record HeadLoss(double[] x_D, double[][] h_DC, int label) implements SmoothLoss {
  @Override
  public double value(double[] y_D) {
    double[] z_C = logits(y_D);
    return logSumExp(z_C) - z_C[label];
  }

  @Override
  public double[] gradient(double[] y_D) {
    double[] z_C = logits(y_D);
    double lse = logSumExp(z_C);
    double[] gradient_D = new double[y_D.length];
    for (int c = 0; c < z_C.length; c++) {
      double dZ = Math.exp(z_C[c] - lse) - (c == label ? 1 : 0);
      for (int d = 0; d < gradient_D.length; d++) {
        gradient_D[d] += dZ * h_DC[d][c];
      }
    }
    return gradient_D;
  }

  private double[] logits(double[] y_D) {
    double[] z_C = new double[h_DC[0].length];
    for (int d = 0; d < y_D.length; d++) {
      for (int c = 0; c < z_C.length; c++) {
        z_C[c] += (x_D[d] + y_D[d]) * h_DC[d][c];
      }
    }
    return z_C;
  }

  private static double logSumExp(double[] z_C) {
    double max = Double.NEGATIVE_INFINITY;
    for (double z : z_C) {
      max = Math.max(max, z);
    }
    double sum = 0;
    for (double z : z_C) {
      sum += Math.exp(z - max);
    }
    return max + Math.log(sum);
  }
}
