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
 * <p>Both products are linear in x, so tokens see one matrix {@code W = P u^T}, as any router's;
 * what leads to it and back, {@code dP = dW u, du = dW^T P}, is small and done in double precision.
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
    try (Tensor w_DE = weights()) {
      kernels.linear(logits_TE, x_TD, w_DE, null, null);
    }
  }

  @Override
  public void backward(Tensor dX_TD, Tensor dLogits_TE, Tensor x_TD) {
    try (Tensor w_DE = weights();
        Tensor dW_DE = device.allocate(w_DE.rows(), w_DE.columns())) {
      kernels.weightGradient(dW_DE, null, x_TD, dLogits_TE, false);
      kernels.matmul(dX_TD, dLogits_TE, false, w_DE, true, false);
      kernels.directionsBackward(dP_DW, dE_EW, dW_DE, p_DW, e_EW, LEAST_NORM);
    }
  }

  /** {@code W = P u^T}. */
  private Tensor weights() {
    Tensor w_DE = device.allocate(p_DW.rows(), e_EW.rows());
    kernels.directionsForward(w_DE, p_DW, e_EW, LEAST_NORM);
    return w_DE;
  }
}
