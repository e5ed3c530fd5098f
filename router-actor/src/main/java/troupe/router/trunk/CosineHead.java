package troupe.router.trunk;

import java.util.List;
import troupe.core.nn.Init;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/**
 * The router of XMoE (Chi et al., arXiv 2204.09179) as released: inputs are projected to few
 * dimensions and compared with the direction of each expert's embedding,
 *
 * <pre>
 *   z = x P                                               P: D * 16
 *   logit_j = z . u_j,  u_j = e_j / max(|e_j|, 1e-4)      e: E * 16
 *   de_j = (du_j - u_j (u_j . du_j)) / |e_j|
 * </pre>
 *
 * <p>Both products are linear in x, so devices see one matrix {@code W = P u^T} and treat it as any
 * router's; what leads to it and back, {@code dP = dW u, du = dW^T P}, is small and done on the
 * host in double precision.
 *
 * <p>z is not normalised and there is no temperature, unlike what the paper is quoted with. Before
 * every use the released code also sets the norm of each embedding to 1.5, in place. Logits do not
 * depend on that norm and gradients only by the factor 1 / |e_j|, which AdamW takes out again. Here
 * embeddings start at that norm, orthogonal as there, and a forward pass changes no parameter: what
 * differs is that the norm may drift with the steps, and with it by how much a step turns e_j.
 * Non-finite logits, which the released code replaces by the least finite one, are refused.
 *
 * <p>Source: microsoft/torchscale@4d1e0e8, xmoe/routing.py.
 */
final class CosineHead implements RouterHead {
  /** Dimensions of the comparison. */
  private static final int WIDTH = 16;

  /** Norm of the embeddings at the start. */
  private static final double NORM = 1.5;

  /** The least norm that is divided by. */
  private static final double LEAST_NORM = 1e-4;

  private final Device device;
  private final Kernels kernels;
  private final Tensor p_DW;
  private final Tensor e_EW;
  private final Tensor dP_DW;
  private final Tensor dE_EW;

  CosineHead(Device device, String prefix, Parameters parameters, Parameters gradients) {
    this.device = device;
    this.kernels = device.kernels();
    this.p_DW = parameters.get(prefix + "router.proj");
    this.e_EW = parameters.get(prefix + "router.embed");
    this.dP_DW = gradients.get(prefix + "router.proj");
    this.dE_EW = gradients.get(prefix + "router.embed");
  }

  static List<ParameterSpec> specs(String prefix, int d, int experts, double projectionStd) {
    return List.of(
        ParameterSpec.matrix(prefix + "router.proj", d, WIDTH, projectionStd),
        new ParameterSpec(
            prefix + "router.embed",
            List.of(experts, WIDTH),
            ParameterSpec.Update.DECAYED,
            new Init.Orthogonal(WIDTH, NORM)));
  }

  @Override
  public void forward(Tensor logits_TE, Tensor x_TD) {
    try (Tensor w_DE = weights(directions(e_EW.toDoubles()))) {
      kernels.linear(logits_TE, x_TD, w_DE, null, null);
    }
  }

  @Override
  public void backward(Tensor dX_TD, Tensor dLogits_TE, Tensor x_TD) {
    double[] e = e_EW.toDoubles();
    double[] u = directions(e);
    try (Tensor w_DE = weights(u);
        Tensor dW_DE = device.allocate(w_DE.rows(), w_DE.columns())) {
      kernels.weightGradient(dW_DE, null, x_TD, dLogits_TE, false);
      kernels.matmul(dX_TD, dLogits_TE, false, w_DE, true, false);
      addGradients(dW_DE.toDoubles(), u, e);
    }
  }

  /** {@code W = P u^T}. */
  private Tensor weights(double[] u) {
    int experts = e_EW.rows();
    double[] p = p_DW.toDoubles();
    double[] w = new double[p_DW.rows() * experts];
    for (int d = 0; d < p_DW.rows(); d++) {
      for (int e = 0; e < experts; e++) {
        double sum = 0;
        for (int i = 0; i < WIDTH; i++) {
          sum += p[d * WIDTH + i] * u[e * WIDTH + i];
        }
        w[d * experts + e] = sum;
      }
    }
    Tensor w_DE = device.allocate(p_DW.rows(), experts);
    w_DE.set(w);
    return w_DE;
  }

  private void addGradients(double[] dW, double[] u, double[] embeddings) {
    int experts = e_EW.rows();
    double[] p = p_DW.toDoubles();
    double[] dP = new double[p.length];
    double[] dU = new double[u.length];
    for (int d = 0; d < p_DW.rows(); d++) {
      for (int e = 0; e < experts; e++) {
        double g = dW[d * experts + e];
        for (int i = 0; i < WIDTH; i++) {
          dP[d * WIDTH + i] += g * u[e * WIDTH + i];
          dU[e * WIDTH + i] += g * p[d * WIDTH + i];
        }
      }
    }
    add(dP_DW, dP);
    add(dE_EW, turned(dU, embeddings));
  }

  private void add(Tensor gradient, double[] change) {
    try (Tensor scratch = device.allocate(gradient.rows(), gradient.columns())) {
      scratch.set(change);
      kernels.add(gradient, scratch);
    }
  }

  private static double norm(double[] rows, int from) {
    double sum = 0;
    for (int i = from; i < from + WIDTH; i++) {
      sum += rows[i] * rows[i];
    }
    return Math.sqrt(sum);
  }

  private static double[] directions(double[] e) {
    double[] u = new double[e.length];
    for (int from = 0; from < e.length; from += WIDTH) {
      double norm = Math.max(norm(e, from), LEAST_NORM);
      for (int i = from; i < from + WIDTH; i++) {
        u[i] = e[i] / norm;
      }
    }
    return u;
  }

  /** The gradient of embeddings from that of their directions. */
  private static double[] turned(double[] dU, double[] e) {
    double[] dE = new double[e.length];
    for (int from = 0; from < e.length; from += WIDTH) {
      double norm = norm(e, from);
      double along = 0;
      for (int i = from; i < from + WIDTH; i++) {
        along += dU[i] * e[i] / norm;
      }
      for (int i = from; i < from + WIDTH; i++) {
        dE[i] = norm < LEAST_NORM ? dU[i] / LEAST_NORM : (dU[i] - along * e[i] / norm) / norm;
      }
    }
    return dE;
  }
}
