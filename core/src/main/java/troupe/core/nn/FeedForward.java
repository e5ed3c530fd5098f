package troupe.core.nn;

import java.util.List;
import troupe.core.tensor.Activation;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.WeightGradient;

/**
 * The feed-forward network {@code y = act(x w1 + b1) w2 + b2}: an expert, or the whole layer where
 * a layer has no experts. SwiGLU (arXiv 2002.05202) has a {@code w1} of twice the width.
 */
public final class FeedForward {
  private final Device device;
  private final Kernels kernels;
  private final Activation activation;
  private final Tensor w1;
  private final Tensor b1;
  private final Tensor w2;
  private final Tensor b2;

  /** A network over the parameters {@code PREFIXw1, PREFIXb1, PREFIXw2, PREFIXb2}. */
  public FeedForward(Device device, Parameters parameters, String prefix, Activation activation) {
    this.device = device;
    this.kernels = device.kernels();
    this.activation = activation;
    this.w1 = parameters.get(prefix + "w1");
    this.b1 = parameters.get(prefix + "b1");
    this.w2 = parameters.get(prefix + "w2");
    this.b2 = parameters.get(prefix + "b2");
  }

  /** The parameters of a network. */
  public static List<ParameterSpec> specs(
      String prefix,
      int dModel,
      int dFf,
      Activation activation,
      double initStd,
      double outputInitStd) {
    return List.of(
        ParameterSpec.matrix(prefix + "w1", dModel, activation.preWidth(dFf), initStd),
        ParameterSpec.vector(prefix + "b1", activation.preWidth(dFf), 0),
        ParameterSpec.matrix(prefix + "w2", dFf, dModel, outputInitStd),
        ParameterSpec.vector(prefix + "b2", dModel, 0));
  }

  /** What forward keeps for backward. */
  public static final class Saved implements AutoCloseable {
    /**
     * Of {@link Kernels#linearActivation}; from {@link #backwardInput} on the gradient of the
     * pre-activations.
     */
    private Tensor kept;

    private final Tensor hidden;

    private Saved(Tensor kept, Tensor hidden) {
      this.kept = kept;
      this.hidden = hidden;
    }

    private void become(Tensor dPre) {
      Tensor old = kept;
      kept = dPre;
      if (old != dPre) {
        old.close();
      }
    }

    @Override
    public void close() {
      kept.close();
      hidden.close();
    }
  }

  /** {@code y = act(x w1 + b1) w2 + b2} for the rows of {@code x}. */
  public Saved forward(Tensor y_RD, Tensor x_RD) {
    int rows = x_RD.rows();
    int ff = w2.rows();
    Tensor kept = device.allocateActivations(rows, kernels.keptWidth(ff, activation));
    Tensor hidden = device.allocateActivations(rows, ff);
    Saved saved = new Saved(kept, hidden);
    try {
      kernels.linearActivation(hidden, kept, x_RD, w1, b1, activation);
      kernels.linear(y_RD, hidden, w2, b2, null);
    } catch (RuntimeException e) {
      saved.close();
      throw e;
    }
    return saved;
  }

  /** {@code dX = ...}; leaves the gradient of the pre-activations in {@code saved}. */
  public void backwardInput(Tensor dX_RD, Tensor dY_RD, Saved saved) {
    boolean inPlace = kernels.overwritesKept(w2.rows(), activation);
    Tensor dPre = inPlace ? saved.kept : device.allocateActivations(dY_RD.rows(), w1.columns());
    try {
      kernels.linearActivationBackward(dPre, dY_RD, w2, saved.kept, activation);
      kernels.matmul(dX_RD, dPre, false, w1, true, false);
    } catch (RuntimeException e) {
      if (!inPlace) {
        dPre.close();
      }
      throw e;
    }
    saved.become(dPre);
  }

  /**
   * {@code gradients += ...}, or {@code = ...}, after {@link #backwardInput}.
   *
   * @param accumulate whether the gradients of earlier batches stay
   */
  public void backwardWeights(
      Parameters gradients,
      String prefix,
      Tensor dY_RD,
      Tensor x_RD,
      Saved saved,
      boolean accumulate) {
    kernels.weightGradients(
        List.of(
            new WeightGradient(
                gradients.get(prefix + "w1"),
                gradients.get(prefix + "b1"),
                x_RD,
                saved.kept,
                accumulate),
            new WeightGradient(
                gradients.get(prefix + "w2"),
                gradients.get(prefix + "b2"),
                saved.hidden,
                dY_RD,
                accumulate)));
  }
}
