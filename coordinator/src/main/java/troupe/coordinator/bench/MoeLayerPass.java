package troupe.coordinator.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.IntConsumer;
import troupe.core.config.GateConfig;
import troupe.core.nn.FeedForward;
import troupe.core.nn.ParameterLayout;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Activation;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.RoutingKernels.DrawKey;
import troupe.core.tensor.RoutingKernels.Room;
import troupe.core.tensor.RoutingKernels.Routed;
import troupe.core.tensor.Tensor;
import troupe.router.gate.Gates;

/**
 * One mixture-of-experts layer forward and backward, on a device that routes: the work of {@code
 * MoeLayer} and of all its experts, without actors between them.
 */
final class MoeLayerPass {
  private static final double STANDARD_DEVIATION = 0.02;
  private static final String PREFIX = "expert.";
  private static final Room DROPLESS = new Room(Integer.MAX_VALUE, false);

  private final Device device;
  private final Kernels kernels;
  private final RoutingKernels routing;
  private final GateConfig config;
  private final RoutingKernels.Gate gate;
  private final MoeLayerBench.Shape shape;
  private final Inputs inputs;
  private long step;
  private int[] offset_E1;

  /**
   * What a pass reads and writes, the same for all gates.
   *
   * @param h_TD what the layer works on
   * @param mid_TD the residual stream
   * @param dX_TD the gradient of the layer's result
   */
  record Inputs(
      Tensor h_TD,
      Tensor mid_TD,
      Tensor dX_TD,
      Tensor w_DE,
      Tensor b_1E,
      Tensor omega_1D,
      Tensor dW_DE,
      Tensor dB_1E,
      Tensor dOmega_1D,
      List<Parameters> experts,
      List<Parameters> gradients) {
    /** Random numbers. */
    static Inputs draw(Device device, ScratchTensors scratch, MoeLayerBench.Shape shape) {
      int tokens = shape.tokens();
      int d = shape.d();
      int count = shape.experts();
      ParameterLayout layout =
          new ParameterLayout(
              FeedForward.specs(
                  PREFIX, d, shape.ff(), Activation.GELU, STANDARD_DEVIATION, STANDARD_DEVIATION));
      List<Parameters> experts = new ArrayList<>();
      List<Parameters> gradients = new ArrayList<>();
      for (int e = 0; e < count; e++) {
        experts.add(scratch.parameters(new Parameters(device, layout), STANDARD_DEVIATION));
        gradients.add(scratch.own(new Parameters(device, layout)));
      }
      Tensor omega_1D = scratch.exactOutput(1, d);
      device.kernels().fill(omega_1D, 1);
      return new Inputs(
          scratch.normal(tokens, d),
          scratch.normal(tokens, d),
          scratch.normal(tokens, d),
          scratch.exactNormal(d, count, STANDARD_DEVIATION),
          scratch.exactOutput(1, count),
          omega_1D,
          scratch.exactOutput(d, count),
          scratch.exactOutput(1, count),
          scratch.exactOutput(1, d),
          experts,
          gradients);
    }
  }

  MoeLayerPass(Device device, MoeLayerBench.Shape shape, Inputs inputs, GateConfig config) {
    this.device = device;
    this.kernels = device.kernels();
    this.routing = device.routing();
    this.config = config;
    this.gate = Gates.onDevice(config);
    this.shape = shape;
    this.inputs = inputs;
  }

  /** Rows of the busiest expert in the last pass, over the mean. */
  double imbalance() {
    int most = 0;
    for (int e = 0; e < shape.experts(); e++) {
      most = Math.max(most, rows(e));
    }
    return (double) most * shape.experts() / shape.rows();
  }

  private int rows(int expert) {
    return offset_E1[expert + 1] - offset_E1[expert];
  }

  /** Each pass is a step of its own, with other draws. */
  void run() {
    int tokens = shape.tokens();
    int d = shape.d();
    int count = shape.experts();
    DrawKey key = new DrawKey(0, ++step, 0, 0);
    Tensor logits_TE = device.allocate(tokens, count);
    kernels.linear(logits_TE, inputs.h_TD, inputs.w_DE, inputs.b_1E, null);
    try (Routed routed =
            routing.route(RoutingKernels.Input.of(logits_TE), gate, key, DROPLESS, true);
        ScratchTensors scratch = new ScratchTensors(device)) {
      // The host has to know how many rows each expert gets, here as in training.
      offset_E1 = routed.summary().offset_E1();
      Tensor sent_RD = scratch.output(offset_E1[count], d);
      routing.dispatch(sent_RD, inputs.h_TD, routed);

      Tensor[] x_E = split(sent_RD);
      Tensor[] y_E = outputs(scratch);
      FeedForward[] network_E = new FeedForward[count];
      FeedForward.Saved[] saved_E = new FeedForward.Saved[count];
      forEachExpert(
          e -> {
            network_E[e] = new FeedForward(device, inputs.experts.get(e), PREFIX, Activation.GELU);
            saved_E[e] = scratch.own(network_E[e].forward(y_E[e], x_E[e]));
          });
      Tensor x_TD = scratch.output(tokens, d);
      routing.combine(x_TD, inputs.mid_TD, y_E, routed, inputs.omega_1D);

      Tensor sentGradient_RD = scratch.output(offset_E1[count], d);
      routing.combineBackward(
          sentGradient_RD, inputs.dOmega_1D, inputs.dX_TD, y_E, routed, inputs.omega_1D);
      Tensor[] dY_E = split(sentGradient_RD);
      Tensor[] dIn_E = outputs(scratch);
      forEachExpert(
          e -> {
            network_E[e].backwardInput(dIn_E[e], dY_E[e], saved_E[e]);
            network_E[e].backwardWeights(
                inputs.gradients.get(e), PREFIX, dY_E[e], x_E[e], saved_E[e], false);
          });
      routeBackward(routed, scratch, dIn_E);
    }
  }

  /** As experts that are actors do their work: apart from each other. */
  private void forEachExpert(IntConsumer work) {
    for (int e = 0; e < shape.experts(); e++) {
      int expert = e;
      device.concurrently(expert, () -> work.accept(expert));
    }
  }

  private void routeBackward(Routed routed, ScratchTensors scratch, Tensor[] dIn_E) {
    int tokens = shape.tokens();
    int count = shape.experts();
    double[] load_E =
        Arrays.stream(routed.summary().routed_E())
            .mapToDouble(rows -> rows / (double) tokens)
            .toArray();
    Tensor dLogits_TE = scratch.own(device.allocate(tokens, count));
    routing.logitsGradient(
        dLogits_TE, routed, null, load_E, config.balanceWeight() * count / tokens, 0);
    kernels.weightGradient(inputs.dW_DE, inputs.dB_1E, inputs.h_TD, dLogits_TE, true);
    Tensor dH_TD = scratch.output(tokens, shape.d());
    kernels.matmul(dH_TD, dLogits_TE, false, inputs.w_DE, true, false);
    routing.dispatchBackward(dH_TD, dIn_E, routed);
  }

  private Tensor[] split(Tensor rows_RD) {
    Tensor[] rows_E = new Tensor[shape.experts()];
    for (int e = 0; e < rows_E.length; e++) {
      rows_E[e] = rows_RD.rows(offset_E1[e], rows(e));
    }
    return rows_E;
  }

  /** As experts answer: each with memory of its own. */
  private Tensor[] outputs(ScratchTensors scratch) {
    Tensor[] rows_E = new Tensor[shape.experts()];
    for (int e = 0; e < rows_E.length; e++) {
      rows_E[e] = scratch.output(rows(e), shape.d());
    }
    return rows_E;
  }
}
