package troupe.router.trunk;

import java.util.List;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;

/** What turns the normed input of a layer into a logit for each expert. */
interface RouterHead {
  /** The head that goes with the gate, over the parameters of a layer. */
  static RouterHead of(
      Device device, RunConfig config, String prefix, Parameters parameters, Parameters gradients) {
    return switch (kind(config)) {
      case BIASED -> new LinearHead(device.kernels(), prefix, true, parameters, gradients);
      case UNBIASED -> new LinearHead(device.kernels(), prefix, false, parameters, gradients);
      case COSINE -> new CosineHead(device, prefix, parameters, gradients);
      case NONE -> new NoHead(device.kernels());
    };
  }

  /** The parameters of that head. */
  static List<ParameterSpec> specs(RunConfig config, String prefix, double projectionStd) {
    int d = config.model().dModel();
    int experts = config.experts().count();
    return switch (kind(config)) {
      case BIASED -> LinearHead.specs(prefix, true, d, experts);
      case UNBIASED -> LinearHead.specs(prefix, false, d, experts);
      case COSINE -> CosineHead.specs(prefix, d, experts, projectionStd);
      case NONE -> List.of();
    };
  }

  private static Kind kind(RunConfig config) {
    return switch (config.gate().type()) {
      case HASH -> Kind.NONE;
      case XMOE -> Kind.COSINE;
      case RELU -> Kind.UNBIASED;
      default -> Kind.BIASED;
    };
  }

  /** The heads there are. */
  enum Kind {
    BIASED,
    UNBIASED,
    COSINE,
    NONE
  }

  /** {@code logits = head(x)}. */
  void forward(Tensor logits_TE, Tensor x_TD);

  /**
   * The gradient of {@link #forward}: {@code dX = ...}; that of the parameters accumulates.
   *
   * @param x_TD what forward was given
   */
  void backward(Tensor dX_TD, Tensor dLogits_TE, Tensor x_TD);
}
