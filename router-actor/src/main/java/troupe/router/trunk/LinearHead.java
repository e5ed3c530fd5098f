package troupe.router.trunk;

import java.util.List;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/**
 * {@code logits = x Wr + br}, the router of most. ReLU routing goes without br, as Megatron-LM's
 * router does: its penalty would push all biases down, until no token of a layer had an expert and
 * nothing was left that has a gradient (so seen in a run of 150 steps).
 */
final class LinearHead implements RouterHead {
  private final Kernels kernels;
  private final Tensor w_DE;
  private final Tensor b_1E;
  private final Tensor dW_DE;
  private final Tensor dB_1E;

  LinearHead(
      Kernels kernels,
      String prefix,
      boolean isBiased,
      Parameters parameters,
      Parameters gradients) {
    this.kernels = kernels;
    this.w_DE = parameters.get(prefix + "router.w");
    this.b_1E = isBiased ? parameters.get(prefix + "router.b") : null;
    this.dW_DE = gradients.get(prefix + "router.w");
    this.dB_1E = isBiased ? gradients.get(prefix + "router.b") : null;
  }

  static List<ParameterSpec> specs(String prefix, boolean isBiased, int d, int experts) {
    ParameterSpec w =
        ParameterSpec.matrix(prefix + "router.w", d, experts, TrunkParameters.SMALL_STD);
    return isBiased
        ? List.of(w, ParameterSpec.vector(prefix + "router.b", experts, 0))
        : List.of(w);
  }

  @Override
  public void forward(Tensor logits_TE, Tensor x_TD) {
    kernels.linear(logits_TE, x_TD, w_DE, b_1E, null);
  }

  @Override
  public void backward(Tensor dX_TD, Tensor dLogits_TE, Tensor x_TD) {
    kernels.weightGradient(dW_DE, dB_1E, x_TD, dLogits_TE, true);
    kernels.matmul(dX_TD, dLogits_TE, false, w_DE, true, false);
  }
}
