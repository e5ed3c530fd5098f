package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.in;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.RoutingKernels.DrawKey;
import troupe.core.tensor.RoutingKernels.Gate;
import troupe.core.tensor.RoutingKernels.Input;
import troupe.core.tensor.RoutingKernels.Pair;
import troupe.core.tensor.RoutingKernels.Score;
import troupe.core.tensor.RoutingKernels.Scores;
import troupe.core.tensor.Shapes;
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
  void choose(CudaRouted routed, Input input, DrawKey draws) {
    Driver driver = device.gpu().driver();
    device
        .gpu()
        .queue(stream -> driver.fillBytes(routed.summary + SummaryLayout.BAD, 0xFF, 8, stream));
    SummaryLayout layout = routed.layout;
    if (layout.countsFirst()) {
      long first_E = routed.summary + layout.first();
      device
          .gpu()
          .queue(stream -> driver.fillBytes(first_E, 0, layout.bytes() - layout.first(), stream));
    }
    if (routed.tokens == 0) {
      return;
    }
    Gate gate = routed.gate;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment routing = RoutingStructures.routing(arena, routed);
      MemorySegment sampling = structures.sampling(arena, gate, routed.training, draws);
      switch (gate.choice()) {
        case SWITCH -> launcher.launch("route", lanesOf(routed, 256), routing, sampling, 0);
        case SPARSE_MIXER -> launcher.launch("route", lanesOf(routed, 256), routing, sampling, 1);
        case SAMPLE -> launcher.launch("route", lanesOf(routed, 256), routing, sampling, 2);
        case ROUNDS -> launcher.launch("route_slots", lanesOf(routed, 256), routing, sampling, 1);
        case BEST -> launcher.launch("route_slots", lanesOf(routed, 256), routing, sampling, 0);
        case BIASED -> chooseBiased(routed, routing, input.state());
        case PAIR -> choosePair(routed, routing, sampling);
        case TABLE -> lookUp(routed, routing, input);
        case BALANCED -> launcher.launch("forced", elementsOf(routed), routing);
      }
    }
  }

  private void chooseBiased(CudaRouted routed, MemorySegment routing, Tensor bias_E) {
    int experts = routed.experts;
    Scores scores = routed.gate.scores();
    Shapes.divides("groups", scores.groups(), experts);
    if (bias_E != null) {
      Shapes.shape("bias", bias_E, 1, experts);
    }
    Grid grid = lanesOf(routed, 128);
    int shared = 8 * (experts + scores.groups()) * (128 / lanes(experts));
    launcher.launch(
        "route_biased",
        Grid.line(grid.x(), 128, shared),
        routing,
        in(bias_E),
        scores.score().ordinal(),
        scores.groups(),
        scores.topGroups(),
        scores.factor());
  }

  private void choosePair(CudaRouted routed, MemorySegment routing, MemorySegment sampling) {
    Shapes.atLeast("experts", routed.experts, 2);
    Pair pair = routed.gate.pair();
    launcher.launch(
        "route_pair",
        lanesOf(routed, 256),
        routing,
        sampling,
        routed.summary + routed.layout.first(),
        pair.second().ordinal(),
        pair.placed() ? 1 : 0);
  }

  private void lookUp(CudaRouted routed, MemorySegment routing, Input input) {
    try (Scratch ids_T = device.transfers().upload(input.ids_T())) {
      launcher.launch("look_up", elementsOf(routed), routing, ids_T, in(input.state()));
    }
  }

  private static Grid elementsOf(CudaRouted routed) {
    return Grid.line(Math.ceilDiv((long) routed.tokens * routed.experts, 256), 256);
  }

  /** What weights are where only slots with room share, which {@link #choose} does not know. */
  void sharePlaced(CudaRouted routed) {
    if (routed.tokens > 0 && routed.gate.pair().placed()) {
      try (Arena arena = Arena.ofConfined()) {
        launcher.launch(
            "share_placed",
            Grid.line(Math.ceilDiv(routed.tokens, 256), 256),
            RoutingStructures.routing(arena, routed),
            routed.rowOfSlot_S);
      }
    }
  }

  /** Several lanes for each token, in blocks of so many threads. */
  private static Grid lanesOf(CudaRouted routed, int block) {
    long threads = (long) routed.tokens * lanes(routed.experts);
    return Grid.line(Math.ceilDiv(threads, block), block);
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
      Tensor dLogits_TE,
      CudaRouted from,
      double[] advantage_T,
      double[] load_E,
      double balanceFactor,
      double zFactor) {
    Gate gate = from.gate;
    try (Scratch load = device.transfers().uploadDoubles(load_E);
        Scratch advantage =
            advantage_T == null ? null : device.transfers().uploadDoubles(advantage_T);
        Arena arena = Arena.ofConfined()) {
      launcher.launch(
          gradientKernel(gate),
          lanesOf(from, 256),
          RoutingStructures.routing(arena, from),
          RoutingStructures.gradient(
              arena,
              CudaTensor.of(dLogits_TE).addressToWrite(),
              load,
              advantage,
              gate,
              gradientFactor(from),
              balanceFactor,
              zFactor));
    }
  }

  private static double gradientFactor(CudaRouted from) {
    return switch (from.gate.choice()) {
      case SWITCH, SPARSE_MIXER, ROUNDS -> from.training ? from.gate.gradientFactor() : 1;
      case BEST, BIASED, PAIR, BALANCED -> from.gate.scores().factor();
      case SAMPLE, TABLE -> 0;
    };
  }

  private static String gradientKernel(Gate gate) {
    return switch (gate.choice()) {
      case SWITCH, SPARSE_MIXER, SAMPLE, TABLE -> "gradient_of_one";
      case ROUNDS -> "gradient_of_rounds";
      case BEST, PAIR -> "gradient_of_shares";
      case BIASED ->
          gate.scores().score() == Score.SIGMOID
              ? "gradient_of_sigmoids"
              : "gradient_of_probabilities";
      case BALANCED -> gate.k() == 1 ? "gradient_of_one" : "gradient_of_shares";
    };
  }
}
