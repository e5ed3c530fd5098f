package troupe.core.tensor.cuda;

import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.RoutingKernels.Choice;
import troupe.core.tensor.RoutingKernels.DrawKey;
import troupe.core.tensor.RoutingKernels.Gate;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.CudaRouted.SummaryLayout;
import troupe.core.tensor.cuda.driver.Driver;

/** The kernels of {@code gates.cu}: see there for launches and workspaces. */
final class CudaGates {
  private final CudaDevice device;
  private final Launcher launcher;
  private final RoutingStructures structures = new RoutingStructures();

  CudaGates(CudaDevice device) {
    this.device = device;
    this.launcher = device.launcher();
  }

  /** Experts and multipliers of every token. */
  void choose(CudaRouted routed, DrawKey draws) {
    int tokens = routed.tokens;
    int experts = routed.experts;
    Driver driver = device.gpu().driver();
    device
        .gpu()
        .queue(stream -> driver.fillBytes(routed.summary + SummaryLayout.BAD, 0xFF, 8, stream));
    if (tokens == 0) {
      return;
    }
    switch (routed.gate.choice()) {
      case SWITCH, SPARSE_MIXER -> routeOne(routed, draws);
      case ROUNDS, BEST -> routeSlots(routed, draws);
      case BALANCED ->
          launcher.launch(
              "forced",
              Grid.line(Math.ceilDiv((long) tokens * experts, 256), 256),
              routed.expert_S,
              routed.multiplier_S,
              routed.scale_S,
              routed.alive_T,
              routed.p_TE,
              tokens,
              experts,
              routed.gate.k());
    }
  }

  private void routeOne(CudaRouted routed, DrawKey draws) {
    Gate gate = routed.gate;
    launcher.launch(
        "route",
        lanesOf(routed),
        routed.expert_S,
        routed.multiplier_S,
        routed.scale_S,
        routed.alive_T,
        routed.p_TE,
        routed.used_TE,
        routed.jitter_TE,
        routed.summary + SummaryLayout.BAD,
        CudaTensor.of(routed.logits_TE).address(),
        routed.tokens,
        routed.experts,
        gate.choice() == Choice.SWITCH ? 0 : 1,
        gate.mask().ordinal(),
        structures.scale(gate.scale()),
        gate.epsilon(),
        routed.training ? 1 : 0,
        draws.seed(),
        (int) draws.step(),
        draws.layer(),
        draws.firstToken());
  }

  private void routeSlots(CudaRouted routed, DrawKey draws) {
    Gate gate = routed.gate;
    launcher.launch(
        "route_slots",
        lanesOf(routed),
        routed.expert_S,
        routed.multiplier_S,
        routed.scale_S,
        routed.alive_T,
        routed.p_TE,
        routed.best_S,
        routed.sum_S,
        routed.summary + SummaryLayout.BAD,
        CudaTensor.of(routed.logits_TE).address(),
        routed.tokens,
        routed.experts,
        gate.k(),
        gate.choice() == Choice.ROUNDS ? 1 : 0,
        gate.mask().ordinal(),
        structures.scale(gate.scale()),
        gate.epsilon(),
        routed.training ? 1 : 0,
        draws.seed(),
        (int) draws.step(),
        draws.layer(),
        draws.firstToken());
  }

  /** Several lanes for each token. */
  private static Grid lanesOf(CudaRouted routed) {
    return Grid.line(Math.ceilDiv((long) routed.tokens * lanes(routed.experts), 256), 256);
  }

  private static int lanes(int experts) {
    int quads = Math.ceilDiv(experts, 4);
    int power = Integer.highestOneBit(quads);
    return Math.min(32, power == quads ? power : 2 * power);
  }

  /** What the losses and the log need. */
  void sum(CudaRouted routed) {
    int experts = routed.experts;
    int parts = Math.clamp(Math.ceilDiv(routed.tokens, 64), 1, 512);
    try (Scratch partial = device.memory().scratch(8L * parts * (experts + 2))) {
      launcher.launch(
          "stats_parts",
          Grid.line(parts, 128, 32 * experts),
          partial,
          routed.p_TE,
          routed.logitsUsed(),
          routed.alive_T,
          routed.tokens,
          experts);
      launcher.launch(
          "stats_total",
          Grid.line(Math.ceilDiv(experts + 2, 8), 256),
          routed.summary + SummaryLayout.SUM_P,
          routed.summary + SummaryLayout.SUM_Z,
          routed.summary + routed.layout.alive(),
          routed.summary + routed.layout.badLogit(),
          partial,
          parts,
          experts,
          routed.summary + SummaryLayout.BAD,
          CudaTensor.of(routed.logits_TE).address());
    }
  }

  /** See {@link RoutingKernels#logitsGradient}; of one token at least. */
  void logitsGradient(
      Tensor dLogits_TE, CudaRouted from, double[] load_E, double balanceFactor, double zFactor) {
    try (Scratch load = device.transfers().uploadDoubles(load_E)) {
      launcher.launch(
          gradientKernel(from.gate),
          lanesOf(from),
          CudaTensor.of(dLogits_TE).addressToWrite(),
          from.p_TE,
          zFactor == 0 && from.gate.choice() != Choice.ROUNDS ? 0L : from.logitsUsed(),
          from.jitter_TE,
          RoutingStructures.slots(from),
          load,
          from.tokens,
          from.experts,
          from.training || from.gate.choice() == Choice.BALANCED ? from.gate.gradientFactor() : 1.0,
          balanceFactor,
          zFactor);
    }
  }

  private static String gradientKernel(Gate gate) {
    return switch (gate.choice()) {
      case SWITCH, SPARSE_MIXER -> "logits_gradient";
      case ROUNDS -> "logits_gradient_rounds";
      case BEST -> "logits_gradient_shares";
      case BALANCED -> gate.k() == 1 ? "logits_gradient" : "logits_gradient_shares";
    };
  }
}
