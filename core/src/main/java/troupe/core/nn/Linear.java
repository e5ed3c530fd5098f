package troupe.core.nn;

import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/** {@code out = x w + b}, with {@code w} of shape inputs x outputs. */
public final class Linear {
  private Linear() {}

  /**
   * {@code out = x w + b}.
   *
   * @param b {@code null} for a layer without bias
   */
  public static void forward(Kernels kernels, Tensor out, Tensor x, Tensor w, Tensor b) {
    kernels.matmul(out, x, false, w, false, false);
    if (b != null) {
      kernels.addBias(out, b);
    }
  }

  /** {@code dX = dOut w^T}, or {@code +=}. */
  public static void backwardInput(
      Kernels kernels, Tensor dX, Tensor dOut, Tensor w, boolean accumulate) {
    kernels.matmul(dX, dOut, false, w, true, accumulate);
  }

  /** {@code dW += x^T dOut, dB += sum over rows of dOut}. */
  public static void backwardWeights(Kernels kernels, Tensor dW, Tensor dB, Tensor dOut, Tensor x) {
    backwardWeights(kernels, dW, dB, dOut, x, true);
  }

  /** The same, or {@code dW = ...} and {@code dB = ...}: what was there need not be zero. */
  public static void backwardWeights(
      Kernels kernels, Tensor dW, Tensor dB, Tensor dOut, Tensor x, boolean accumulate) {
    kernels.matmul(dW, x, true, dOut, false, accumulate);
    if (dB != null) {
      if (!accumulate) {
        kernels.fill(dB, 0);
      }
      kernels.sumRows(dB, dOut);
    }
  }
}
