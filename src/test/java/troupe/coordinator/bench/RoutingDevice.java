package troupe.coordinator.bench;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.JitterOn;
import troupe.core.config.GateType;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cpu.CpuDevice;
import troupe.router.gate.BalanceLoss;
import troupe.router.gate.CounterDraws;
import troupe.router.gate.DispatchPlan;
import troupe.router.gate.Gates;
import troupe.router.gate.Load;
import troupe.router.gate.Routing;

/**
 * The processor, routing tokens as a GPU does, by the gates of the host: benchmarks of GPUs run
 * where there is none. Dropless, SparseMixers and balanced only.
 */
final class RoutingDevice implements Device, RoutingKernels {
  private final Device cpu = new CpuDevice();
  private final Kernels kernels = cpu.kernels();

  /** The gates that were asked for, in order. */
  final List<Choice> choices = new ArrayList<>();

  /** Steps of the draws, in order. */
  final List<Long> steps = new ArrayList<>();

  private static final class HostRouted implements Routed, Summary {
    private final Routing routing;
    private final DispatchPlan plan;
    private final double[] multiplier_R;
    private double[] s_T;

    HostRouted(Routing routing) {
      this.routing = routing;
      this.plan = DispatchPlan.of(routing);
      this.multiplier_R = plan.toRows(routing.multiplier_S());
    }

    int[] tokens(int expert) {
      int[] offset_E1 = plan.offset_E1();
      return Arrays.copyOfRange(plan.tokenOfRow_R(), offset_E1[expert], offset_E1[expert + 1]);
    }

    double[] multipliers(int expert) {
      int[] offset_E1 = plan.offset_E1();
      return Arrays.copyOfRange(multiplier_R, offset_E1[expert], offset_E1[expert + 1]);
    }

    @Override
    public Summary summary() {
      return this;
    }

    @Override
    public int[] offset_E1() {
      return plan.offset_E1();
    }

    @Override
    public int[] first_E() {
      return new int[0];
    }

    @Override
    public int[] routed_E() {
      return plan.routed_E();
    }

    @Override
    public double[] sumP_E() {
      return Load.sumP(routing);
    }

    @Override
    public double sumZ() {
      return 0;
    }

    @Override
    public int alive() {
      return Load.alive(routing);
    }

    @Override
    public int[] firstNonFinite_2() {
      return null;
    }

    @Override
    public float nonFinite() {
      return 0;
    }

    @Override
    public void close() {
      // Arrays of the host.
    }
  }

  @Override
  public Routed route(Input input, Gate gate, DrawKey key, Room room, boolean training) {
    choices.add(gate.choice());
    steps.add(key.step());
    GateType type =
        switch (gate.choice()) {
          case SPARSE_MIXER -> GateType.SPARSEMIXER;
          case ROUNDS -> GateType.SPARSEMIXER_V2;
          case BALANCED -> GateType.BALANCED;
          case SWITCH, SAMPLE, BEST, BIASED, PAIR, TABLE ->
              throw new UnsupportedOperationException(gate.choice().name());
        };
    GateConfig config =
        GateConfig.topOne(type, true, gate.epsilon(), JitterOn.LOGITS, GateConfig.Mask.CODE)
            .with(type, gate.k());
    troupe.router.gate.Gate host = Gates.of(config);
    CounterDraws draws = new CounterDraws(key.seed(), key.step(), key.layer(), key.firstToken());
    try (Tensor logits_TE = input.logits_TE()) {
      return new HostRouted(
          host.route(
              logits_TE.toDoubles(), logits_TE.rows(), logits_TE.columns(), draws, training));
    }
  }

  @Override
  public void inputJitter(
      Tensor jittered_TD, Tensor factor_TD, Tensor h_TD, double epsilon, DrawKey key) {
    throw new UnsupportedOperationException("inputJitter");
  }

  @Override
  public void dispatch(Tensor sent_RD, Tensor h_TD, Routed routed) {
    kernels.gatherRows(sent_RD, h_TD, ((HostRouted) routed).plan.tokenOfRow_R());
  }

  @Override
  public void combine(Tensor x_TD, Tensor mid_TD, Tensor[] y_E, Routed routed, Tensor omega_1D) {
    HostRouted from = (HostRouted) routed;
    kernels.copy(x_TD, mid_TD);
    for (int e = 0; e < y_E.length; e++) {
      kernels.combineForward(x_TD, y_E[e], from.tokens(e), from.multipliers(e), omega_1D);
    }
  }

  @Override
  public void combineBackward(
      Tensor dY_RD, Tensor dOmega_1D, Tensor dX_TD, Tensor[] y_E, Routed routed, Tensor omega_1D) {
    HostRouted from = (HostRouted) routed;
    try (Tensor s_R1 = cpu.allocate(from.plan.rows(), 1)) {
      for (int e = 0; e < y_E.length; e++) {
        int first = from.plan.offset_E1()[e];
        int rows = from.plan.rows(e);
        kernels.combineBackward(
            dY_RD.rows(first, rows),
            s_R1.rows(first, rows),
            dOmega_1D,
            dX_TD,
            y_E[e],
            from.tokens(e),
            from.multipliers(e),
            omega_1D);
      }
      from.s_T = from.plan.toSlots(s_R1.toDoubles());
    }
  }

  @Override
  public void logitsGradient(
      Tensor dLogits_TE,
      Routed routed,
      double[] advantage_T,
      double[] load_E,
      double balanceFactor,
      double zFactor) {
    HostRouted from = (HostRouted) routed;
    double[] dLogits = new double[Math.toIntExact(dLogits_TE.size())];
    from.routing.backward(dLogits, from.s_T);
    BalanceLoss.addGradient(dLogits, from.routing, load_E, balanceFactor / load_E.length, 1);
    dLogits_TE.set(dLogits);
  }

  @Override
  public void dispatchBackward(Tensor dH_TD, Tensor[] dIn_E, Routed routed) {
    for (int e = 0; e < dIn_E.length; e++) {
      kernels.scatterAddRows(dH_TD, dIn_E[e], ((HostRouted) routed).tokens(e));
    }
  }

  @Override
  public RoutingKernels routing() {
    return this;
  }

  @Override
  public String name() {
    return "routing";
  }

  @Override
  public DType dtype() {
    return cpu.dtype();
  }

  @Override
  public Kernels kernels() {
    return kernels;
  }

  @Override
  public Tensor allocate(int rows, int columns) {
    return cpu.allocate(rows, columns);
  }

  @Override
  public long allocatedBytes() {
    return cpu.allocatedBytes();
  }

  @Override
  public void close() {
    cpu.close();
  }
}
