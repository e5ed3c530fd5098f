package troupe.expert.network;

import java.util.List;
import troupe.core.nn.FeedForward;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.optim.OwnedParameters;
import troupe.core.tensor.Activation;
import troupe.core.tensor.Device;
import troupe.core.tensor.Readback;
import troupe.core.tensor.Tensor;

/**
 * The committed state of an expert: parameters and moments. It outlives the incarnations of the
 * actor that trains it: what an incarnation does in a step touches only its own {@link ExpertStep}
 * until the step is applied.
 */
public final class ExpertState implements AutoCloseable {
  private final int layer;
  private final int expert;
  private final Activation activation;
  private final double weightDecay;
  private final Device device;
  private final Parameters parameters;
  private final Parameters gradients;
  private final OwnedParameters owned;
  private final Incarnations incarnations = new Incarnations();
  private long gradientStep = -1;

  /** An expert whose parameters start from {@code seed}. */
  public ExpertState(
      Device device,
      int layer,
      int expert,
      ParameterLayout layout,
      Activation activation,
      double weightDecay,
      long seed) {
    this(
        Parameters.initialised(device, layout, seed),
        device,
        layer,
        expert,
        activation,
        weightDecay);
  }

  private ExpertState(
      Parameters parameters,
      Device device,
      int layer,
      int expert,
      Activation activation,
      double weightDecay) {
    this.device = device;
    this.layer = layer;
    this.expert = expert;
    this.activation = activation;
    this.weightDecay = weightDecay;
    this.parameters = parameters;
    this.gradients = new Parameters(device, parameters.layout());
    this.owned =
        new OwnedParameters(device, parameters.flat(), parameters.layout().decayed(), weightDecay);
  }

  /** The same expert on another device, with room for all that this one has, and nothing of it. */
  public ExpertState emptyOn(Device other) {
    return new ExpertState(
        new Parameters(other, parameters.layout()), other, layer, expert, activation, weightDecay);
  }

  /** The parameters of an expert, named {@code lLAYER.eEXPERT.w1} and so on. */
  public static List<ParameterSpec> specs(
      int layer,
      int expert,
      int dModel,
      int dFf,
      Activation activation,
      double initStd,
      double outputInitStd) {
    return FeedForward.specs(
        prefix(layer, expert), dModel, dFf, activation, initStd, outputInitStd);
  }

  private static String prefix(int layer, int expert) {
    return "l" + layer + ".e" + expert + ".";
  }

  /** What the names of its parameters start with. */
  public String prefix() {
    return prefix(layer, expert);
  }

  /** The layer it belongs to. */
  public int layer() {
    return layer;
  }

  /** Its index in the layer. */
  public int expert() {
    return expert;
  }

  /** The parameters. */
  public Parameters parameters() {
    return parameters;
  }

  /**
   * The gradient sums of the step at hand; complete once every batch of the step is accumulated.
   */
  public Parameters gradients() {
    return gradients;
  }

  /** Parameters and moments as the optimizer sees them. */
  public OwnedParameters owned() {
    return owned;
  }

  /** The network over these parameters. */
  public FeedForward network() {
    return new FeedForward(device, parameters, prefix(), activation);
  }

  /** The device that holds it. */
  public Device device() {
    return device;
  }

  /** The step whose gradient is complete in {@link #gradients}, or -1. */
  public long gradientStep() {
    return gradientStep;
  }

  void gradientStep(long step) {
    gradientStep = step;
  }

  /** The step at hand begins anew: its gradient has to be computed, and reported, again. */
  public void forgetGradient() {
    gradientStep = -1;
  }

  /** Sum of squares of the gradient at hand. */
  public Readback squaredNorm() {
    try (Tensor sum = device.allocate(1, 1)) {
      device.kernels().sumSquares(sum, gradients.flat());
      return device.read(sum);
    }
  }

  /** What outlives the incarnations of its actor. */
  public Incarnations incarnations() {
    return incarnations;
  }

  @Override
  public void close() {
    owned.close();
    gradients.close();
    parameters.close();
  }
}
