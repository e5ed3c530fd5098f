package troupe.core.tensor;

/**
 * {@link Kernels#directionsForward} and its gradient, in double precision on the host. {@code W} is
 * small, so the way there and back costs little where tensors are in memory of the host.
 */
final class HostDirections {
  private HostDirections() {}

  static void forward(Tensor out_DE, Tensor p_DW, Tensor e_EW, double leastNorm) {
    int experts = e_EW.rows();
    int width = e_EW.columns();
    double[] p = p_DW.toDoubles();
    double[] u = directions(e_EW.toDoubles(), width, leastNorm);
    double[] out = new double[p_DW.rows() * experts];
    for (int d = 0; d < p_DW.rows(); d++) {
      for (int e = 0; e < experts; e++) {
        double sum = 0;
        for (int i = 0; i < width; i++) {
          sum += p[d * width + i] * u[e * width + i];
        }
        out[d * experts + e] = sum;
      }
    }
    out_DE.set(out);
  }

  static void backward(
      Tensor dP_DW, Tensor dE_EW, Tensor dOut_DE, Tensor p_DW, Tensor e_EW, double leastNorm) {
    int experts = e_EW.rows();
    int width = e_EW.columns();
    double[] dOut = dOut_DE.toDoubles();
    double[] p = p_DW.toDoubles();
    double[] embeddings = e_EW.toDoubles();
    double[] u = directions(embeddings, width, leastNorm);
    double[] dP = new double[p.length];
    double[] dU = new double[u.length];
    for (int d = 0; d < p_DW.rows(); d++) {
      for (int e = 0; e < experts; e++) {
        double g = dOut[d * experts + e];
        for (int i = 0; i < width; i++) {
          dP[d * width + i] += g * u[e * width + i];
          dU[e * width + i] += g * p[d * width + i];
        }
      }
    }
    add(dP_DW, dP);
    add(dE_EW, turned(dU, embeddings, width, leastNorm));
  }

  private static void add(Tensor gradient, double[] change) {
    Device device = gradient.device();
    try (Tensor scratch = device.allocate(gradient.rows(), gradient.columns())) {
      scratch.set(change);
      device.kernels().add(gradient, scratch);
    }
  }

  private static double norm(double[] rows, int from, int width) {
    double sum = 0;
    for (int i = from; i < from + width; i++) {
      sum += rows[i] * rows[i];
    }
    return Math.sqrt(sum);
  }

  private static double[] directions(double[] e, int width, double leastNorm) {
    double[] u = new double[e.length];
    for (int from = 0; from < e.length; from += width) {
      double norm = Math.max(norm(e, from, width), leastNorm);
      for (int i = from; i < from + width; i++) {
        u[i] = e[i] / norm;
      }
    }
    return u;
  }

  /** The gradient of embeddings from that of their directions. */
  private static double[] turned(double[] dU, double[] e, int width, double leastNorm) {
    double[] dE = new double[e.length];
    for (int from = 0; from < e.length; from += width) {
      double norm = norm(e, from, width);
      double along = 0;
      for (int i = from; i < from + width; i++) {
        along += dU[i] * e[i] / norm;
      }
      for (int i = from; i < from + width; i++) {
        dE[i] = norm < leastNorm ? dU[i] / leastNorm : (dU[i] - along * e[i] / norm) / norm;
      }
    }
    return dE;
  }
}
