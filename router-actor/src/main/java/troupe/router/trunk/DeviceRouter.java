package troupe.router.trunk;

import troupe.core.config.GateConfig;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.RoutingKernels.DrawKey;
import troupe.core.tensor.RoutingKernels.Input;
import troupe.core.tensor.RoutingKernels.Room;
import troupe.core.tensor.Tensor;
import troupe.router.gate.Capacity;
import troupe.router.gate.CounterDraws;
import troupe.router.gate.Draws;
import troupe.router.gate.Gate;
import troupe.router.gate.Gates;
import troupe.router.gate.Jitter;

/** The gate on the device that has the tokens. */
final class DeviceRouter implements TokenRouter {
  private final Device device;
  private final RoutingKernels routing;
  private final GateConfig config;
  private final RoutingKernels.Gate gate;
  private final Gate host;
  private final Jitter inputJitter;
  private final Capacity capacity;

  /** Whether a device routes as this config wants it, or has to leave that to the host. */
  static boolean serves(Device device, RunConfig config) {
    RunConfig.Experts experts = config.experts();
    return device.routing() != null
        && Gates.onDevice(config.gate()) != null
        && config.gate().topK() <= RoutingKernels.MAX_SLOTS
        && experts.count() <= RoutingKernels.MAX_EXPERTS
        && experts.drop() != RunConfig.DropOrder.PROBABILITY
        && experts.overflow() == RunConfig.Overflow.DROP
        && experts.capacityGroups() == 0;
  }

  DeviceRouter(Device device, RunConfig config) {
    this.device = device;
    this.routing = device.routing();
    this.config = config.gate();
    this.gate = Gates.onDevice(config.gate());
    this.host = Gates.of(config.gate());
    this.inputJitter = Gates.inputJitter(config.gate());
    this.capacity = Capacity.of(config.experts());
  }

  @Override
  public Jittered jitter(Tensor h_TD, Draws draws) {
    if (inputJitter.epsilon() == 0) {
      return null;
    }
    Tensor factor_TD = device.allocateActivations(h_TD.rows(), h_TD.columns());
    Tensor input_TD = device.allocateActivations(h_TD.rows(), h_TD.columns());
    routing.inputJitter(input_TD, factor_TD, h_TD, inputJitter.epsilon(), key(draws));
    return new Jittered(input_TD, factor_TD);
  }

  /** The device makes the draws of {@link CounterDraws} itself; it cannot ask for others. */
  private static DrawKey key(Draws draws) {
    return ((CounterDraws) draws).key();
  }

  @Override
  public RoutedTokens route(
      Tensor logits_TE, int[] ids_T, Tensor state, Draws draws, boolean training) {
    int rows =
        training
            ? capacity.rows(logits_TE.rows(), logits_TE.columns(), gate.k())
            : Integer.MAX_VALUE;
    Room room = new Room(rows, capacity.order() == RunConfig.DropOrder.SHUFFLED);
    return new DeviceRoutedTokens(
        device,
        config,
        host,
        state,
        logits_TE.rows(),
        gate.k(),
        logits_TE.columns(),
        routing.route(
            new Input(logits_TE, ids_T, state),
            gate,
            training ? key(draws) : null,
            room,
            training));
  }

  @Override
  public boolean isOnDevice() {
    return true;
  }
}
