package troupe.router.trunk;

import java.util.Arrays;
import troupe.core.config.GateConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.router.gate.BalanceLoss;
import troupe.router.gate.DispatchPlan;
import troupe.router.gate.Feedback;
import troupe.router.gate.Gate;
import troupe.router.gate.GateInput;
import troupe.router.gate.GateState;
import troupe.router.gate.Routing;
import troupe.router.gate.ZLoss;

/** A routing that the host has, expert by expert in order. */
public final class HostRoutedTokens implements RoutedTokens {
  private final Device device;
  private final Kernels kernels;
  private final GateConfig config;
  private final Gate gate;
  private final GateInput input;
  private final Routing routing;
  private final DispatchPlan plan;
  private final double[] multiplier_R;
  private final double[] backwardMultiplier_R;
  private double[] s_S;

  HostRoutedTokens(Device device, GateConfig config, Gate gate, GateInput input, Routing routing) {
    this.device = device;
    this.kernels = device.kernels();
    this.config = config;
    this.gate = gate;
    this.input = input;
    this.routing = routing;
    this.plan = DispatchPlan.of(routing);
    this.multiplier_R = plan.toRows(routing.multiplier_S());
    this.backwardMultiplier_R =
        routing.backwardMultiplier_S() == routing.multiplier_S()
            ? multiplier_R
            : plan.toRows(routing.backwardMultiplier_S());
  }

  /** What the gate decided. */
  public Routing routing() {
    return routing;
  }

  /** Which rows go where. */
  public DispatchPlan plan() {
    return plan;
  }

  @Override
  public int[] offset_E1() {
    return plan.offset_E1();
  }

  @Override
  public int mostRows() {
    return plan.rows();
  }

  @Override
  public LayerStats stats() {
    return LayerStats.of(routing, plan, gate.balancesFirstChoices());
  }

  @Override
  public void dispatch(Tensor sent_RD, Tensor h_TD) {
    kernels.gatherRows(sent_RD, h_TD, plan.tokenOfRow_R());
  }

  private int[] tokensOf(int expert) {
    int[] offset_E1 = plan.offset_E1();
    return Arrays.copyOfRange(plan.tokenOfRow_R(), offset_E1[expert], offset_E1[expert + 1]);
  }

  private double[] rowsOf(double[] x_R, int expert) {
    int[] offset_E1 = plan.offset_E1();
    return Arrays.copyOfRange(x_R, offset_E1[expert], offset_E1[expert + 1]);
  }

  @Override
  public void combine(Tensor x_TD, Tensor mid_TD, Tensor[] y_E, Tensor omega_1D) {
    kernels.copy(x_TD, mid_TD);
    for (int expert = 0; expert < y_E.length; expert++) {
      kernels.combineForward(
          x_TD, y_E[expert], tokensOf(expert), rowsOf(multiplier_R, expert), omega_1D);
    }
  }

  @Override
  public void combineBackward(
      Tensor dY_RD, Tensor dOmega_1D, Tensor dX_TD, Tensor[] y_E, Tensor omega_1D) {
    try (Tensor s_R1 = device.allocate(plan.rows(), 1)) {
      for (int expert = 0; expert < y_E.length; expert++) {
        int from = plan.offset_E1()[expert];
        int rows = plan.rows(expert);
        kernels.combineBackward(
            dY_RD.rows(from, rows),
            s_R1.rows(from, rows),
            dOmega_1D,
            dX_TD,
            y_E[expert],
            tokensOf(expert),
            rowsOf(backwardMultiplier_R, expert),
            omega_1D);
      }
      s_S = plan.toSlots(s_R1.toDoubles());
    }
  }

  @Override
  public void logitsGradient(
      Tensor dLogits_TE, Tensor dState, Feedback.Losses losses, double[] load_E, long tokens) {
    double[] dLogits = new double[routing.p_TE().length];
    Feedback feedback = new Feedback(s_S, losses, load_E, tokens);
    routing.backward(dLogits, feedback);
    if (dState != null) {
      changeState(dState, feedback);
    }
    if (config.balanceWeight() > 0) {
      BalanceLoss.addGradient(dLogits, routing, load_E, config.balanceWeight(), tokens);
    }
    if (config.zCoefficient() > 0) {
      ZLoss.addGradient(dLogits, routing, config.zCoefficient(), tokens);
    }
    dLogits_TE.set(dLogits);
  }

  /** Adds to the gradient what a step adds to the state: {@code -rate * change}. */
  private void changeState(Tensor dState, Feedback feedback) {
    GateState kept = gate.state();
    double[] change = new double[input.state().length];
    kept.addChange(change, input.state(), routing.tokens(), feedback);
    double[] sum = dState.toDoubles();
    for (int i = 0; i < sum.length; i++) {
      sum[i] -= kept.rate() * change[i];
    }
    dState.set(sum);
  }

  @Override
  public void dispatchBackward(Tensor dH_TD, Tensor[] dIn_E) {
    for (int expert = 0; expert < dIn_E.length; expert++) {
      kernels.scatterAddRows(dH_TD, dIn_E[expert], tokensOf(expert));
    }
  }

  @Override
  public void close() {
    // Arrays of the host.
  }
}
