package troupe.router.trunk;

import java.util.Arrays;
import troupe.core.config.GateConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.RoutingKernels.Summary;
import troupe.core.tensor.Tensor;
import troupe.router.gate.Feedback;
import troupe.router.gate.Gate;
import troupe.router.gate.GateState;
import troupe.router.gate.NonFiniteLogitsException;

/** A routing that stays on the device; the host learns counts and sums. */
final class DeviceRoutedTokens implements RoutedTokens {
  private static final double[] NOTHING = {};

  private final Device device;
  private final RoutingKernels kernels;
  private final GateConfig config;
  private final Gate gate;
  private final Tensor state;
  private final int tokens;
  private final int slots;
  private final int experts;
  private final RoutingKernels.Routed routed;

  DeviceRoutedTokens(
      Device device,
      GateConfig config,
      Gate gate,
      Tensor state,
      int tokens,
      int k,
      int experts,
      RoutingKernels.Routed routed) {
    this.device = device;
    this.kernels = device.routing();
    this.config = config;
    this.gate = gate;
    this.state = state;
    this.tokens = tokens;
    this.slots = Math.multiplyExact(tokens, k);
    this.experts = experts;
    this.routed = routed;
  }

  @Override
  public int[] offset_E1() {
    Summary summary = routed.summary();
    int[] bad = summary.firstNonFinite_2();
    if (bad != null) {
      throw new NonFiniteLogitsException(bad[0], bad[1], summary.nonFinite());
    }
    return summary.offset_E1();
  }

  @Override
  public int mostRows() {
    return slots;
  }

  @Override
  public LayerStats stats() {
    Summary summary = routed.summary();
    long[] routed_E = longs(summary.routed_E());
    int kept = summary.offset_E1()[experts];
    return new LayerStats(
        routed_E,
        longs(summary.first_E()),
        summary.sumP_E(),
        NOTHING,
        summary.sumZ(),
        tokens,
        kept,
        Arrays.stream(routed_E).sum() - kept,
        0,
        summary.alive());
  }

  private static long[] longs(int[] counts) {
    return Arrays.stream(counts).asLongStream().toArray();
  }

  @Override
  public void dispatch(Tensor sent_RD, Tensor h_TD) {
    kernels.dispatch(sent_RD, h_TD, routed);
  }

  @Override
  public void combine(Tensor x_TD, Tensor mid_TD, Tensor[] y_E, Tensor omega_1D) {
    kernels.combine(x_TD, mid_TD, y_E, routed, omega_1D);
  }

  @Override
  public void combineBackward(
      Tensor dY_RD, Tensor dOmega_1D, Tensor dX_TD, Tensor[] y_E, Tensor omega_1D) {
    kernels.combineBackward(dY_RD, dOmega_1D, dX_TD, y_E, routed, omega_1D);
  }

  @Override
  public void logitsGradient(
      Tensor dLogits_TE,
      Tensor dState,
      Feedback.Losses losses,
      double[] load_E,
      long globalTokens) {
    double[] kept = gate.needsLosses() && gate.state() != null ? state.toDoubles() : NOTHING;
    kernels.logitsGradient(
        dLogits_TE,
        routed,
        losses == null ? null : gate.advantages(losses, kept),
        load_E,
        config.balanceWeight() * experts / globalTokens,
        2 * config.zCoefficient() / globalTokens);
    if (dState != null) {
      changeState(dState, kept, new Feedback(null, losses, load_E, globalTokens));
    }
  }

  /** Adds to the gradient what a step adds to the state: {@code -rate * change}. */
  private void changeState(Tensor dState, double[] kept, Feedback feedback) {
    GateState rule = gate.state();
    double[] change = new double[dState.columns()];
    rule.addChange(change, kept, tokens, feedback);
    Arrays.setAll(change, i -> -rule.rate() * change[i]);
    try (Tensor added = device.allocate(1, change.length)) {
      added.set(change);
      device.kernels().add(dState, added);
    }
  }

  @Override
  public void dispatchBackward(Tensor dH_TD, Tensor[] dIn_E) {
    kernels.dispatchBackward(dH_TD, dIn_E, routed);
  }

  @Override
  public void close() {
    routed.close();
  }
}
