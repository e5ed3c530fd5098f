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
 *   z = x P                                     P: D * 16
 *   logit_j = z . u_j,  u_j = e_j / max(|e_j|, 1e-4)      e: E * 16
 *   de_j = (du_j - u_j (u_j . du_j)) / |e_j|,   du_j = sum_t dlogit_tj z_t
 * </pre>
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
    try (Tensor z_TW = project(x_TD);
        Tensor u_EW = device.allocate(e_EW.rows(), WIDTH)) {
      u_EW.set(directions(e_EW.toDoubles()));
      kernels.matmul(logits_TE, z_TW, false, u_EW, true, false);
    }
  }

  @Override
  public void backward(Tensor dX_TD, Tensor dLogits_TE, Tensor x_TD) {
    try (Tensor z_TW = project(x_TD);
        Tensor dZ_TW = device.allocate(x_TD.rows(), WIDTH);
        Tensor u_EW = device.allocate(e_EW.rows(), WIDTH);
        Tensor change_EW = device.allocate(e_EW.rows(), WIDTH)) {
      double[] e = e_EW.toDoubles();
      u_EW.set(directions(e));
      kernels.matmul(change_EW, dLogits_TE, true, z_TW, false, false);
      change_EW.set(turned(change_EW.toDoubles(), e));
      kernels.add(dE_EW, change_EW);
      kernels.matmul(dZ_TW, dLogits_TE, false, u_EW, false, false);
      kernels.weightGradient(dP_DW, null, x_TD, dZ_TW, true);
      kernels.matmul(dX_TD, dZ_TW, false, p_DW, true, false);
    }
  }

  private Tensor project(Tensor x_TD) {
    Tensor z_TW = device.allocate(x_TD.rows(), WIDTH);
    kernels.matmul(z_TW, x_TD, false, p_DW, false, false);
    return z_TW;
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
