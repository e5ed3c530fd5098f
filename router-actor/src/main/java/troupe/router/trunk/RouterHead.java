package troupe.router.trunk;

import java.util.List;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;
import troupe.router.gate.Gates;

/** What turns the normed input of a layer into a logit for each expert. */
interface RouterHead {
  /** The head that goes with the gate, over the parameters of a layer. */
  static RouterHead of(
      Device device, RunConfig config, String prefix, Parameters parameters, Parameters gradients) {
    return switch (kind(config)) {
      case LINEAR -> new LinearHead(device.kernels(), prefix, parameters, gradients);
      case COSINE -> new CosineHead(device, prefix, parameters, gradients);
      case NONE -> new NoHead(device.kernels());
    };
  }

  /** The parameters of that head. */
  static List<ParameterSpec> specs(RunConfig config, String prefix, double projectionStd) {
    int d = config.model().dModel();
    int experts = config.experts().count();
    return switch (kind(config)) {
      case LINEAR -> LinearHead.specs(prefix, d, experts);
      case COSINE -> CosineHead.specs(prefix, d, experts, projectionStd);
      case NONE -> List.of();
    };
  }

  private static Kind kind(RunConfig config) {
    if (Gates.of(config.gate()).hashes()) {
      return Kind.NONE;
    }
    return config.gate().type() == RunConfig.GateType.XMOE ? Kind.COSINE : Kind.LINEAR;
  }

  /** The heads there are. */
  enum Kind {
    LINEAR,
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
