package troupe.router.trunk;

import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/** No router: logits are zero, for a gate that does not look at them. */
final class NoHead implements RouterHead {
  private final Kernels kernels;

  NoHead(Kernels kernels) {
    this.kernels = kernels;
  }

  @Override
  public void forward(Tensor logits_TE, Tensor x_TD) {
    kernels.fill(logits_TE, 0);
  }

  @Override
  public void backward(Tensor dX_TD, Tensor dLogits_TE, Tensor x_TD) {
    kernels.fill(dX_TD, 0);
  }
}
