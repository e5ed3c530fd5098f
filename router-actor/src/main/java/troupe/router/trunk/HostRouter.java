package troupe.router.trunk;

import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;
import troupe.router.gate.Capacity;
import troupe.router.gate.Draws;
import troupe.router.gate.Gate;
import troupe.router.gate.GateInput;
import troupe.router.gate.Gates;
import troupe.router.gate.Jitter;

/** The gate in double precision on the host: for devices that are the host. */
final class HostRouter implements TokenRouter {
  private static final double[] NO_STATE = {};

  private final Device device;
  private final RunConfig config;
  private final Gate gate;
  private final Jitter inputJitter;
  private final Capacity capacity;

  HostRouter(Device device, RunConfig config) {
    this.device = device;
    this.config = config;
    this.gate = Gates.of(config.gate());
    this.inputJitter = Gates.inputJitter(config.gate());
    this.capacity = Capacity.of(config.experts());
  }

  @Override
  public Jittered jitter(Tensor h_TD, Draws draws) {
    if (inputJitter.epsilon() == 0) {
      return null;
    }
    int tokens = h_TD.rows();
    int d = h_TD.columns();
    Tensor factor_TD = device.allocateActivations(tokens, d);
    factor_TD.set(inputJitter.inputFactors(tokens, d, draws));
    Tensor input_TD = device.allocateActivations(tokens, d);
    device.kernels().multiply(input_TD, h_TD, factor_TD);
    return new Jittered(input_TD, factor_TD);
  }

  @Override
  public RoutedTokens route(
      Tensor logits_TE, int[] ids_T, Tensor state, Draws draws, boolean training) {
    try (logits_TE) {
      GateInput input =
          new GateInput(
              logits_TE.toDoubles(),
              logits_TE.rows(),
              logits_TE.columns(),
              ids_T,
              state == null ? NO_STATE : state.toDoubles(),
              training ? capacity : Capacity.DROPLESS,
              draws,
              training);
      return new HostRoutedTokens(device, config.gate(), gate, input, gate.route(input));
    }
  }

  @Override
  public boolean isOnDevice() {
    return false;
  }
}
