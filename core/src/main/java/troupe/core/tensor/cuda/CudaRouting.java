package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.out;

import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.CudaRouted.SummaryLayout;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * The kernels of {@code gates.cu} and {@code routing.cu}: see there for launches and workspaces.
 */
final class CudaRouting implements RoutingKernels {
  private final CudaDevice device;
  private final Launcher launcher;
  private final RoutingStructures structures = new RoutingStructures();

  CudaRouting(CudaDevice device) {
    this.device = device;
    this.launcher = device.launcher();
  }

  @Override
  public Routed route(Tensor logits_TE, Gate gate, DrawKey key, Room room, boolean training) {
    CudaRouted routed = new CudaRouted(device, logits_TE, gate, training);
    DrawKey draws = key == null ? new DrawKey(0, 0, 0, 0) : key;
    choose(routed, draws);
    sort(routed, draws, room);
    sum(routed);
    routed.readSummary();
    return routed;
  }

  private void choose(CudaRouted routed, DrawKey draws) {
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

  private void sort(CudaRouted routed, DrawKey draws, Room room) {
    int slots = routed.slots;
    int experts = routed.experts;
    int tile = Math.max(128, Math.ceilDiv(Math.ceilDiv(slots, 1024), 32) * 32);
    int tiles = Math.max(1, Math.ceilDiv(slots, tile));
    // Rows are sorted token by token, but the first choice of a late token goes before others'
    // second.
    boolean chosen = (room.shuffled() || routed.gate.k() > 1) && room.rows() < routed.tokens;
    long routed_E = routed.summary + routed.layout.routed();
    try (Scratch counts = device.memory().scratch(4L * tiles * experts);
        Scratch sorted = chosen ? device.memory().scratch(4L * Math.max(1, slots)) : null) {
      launcher.launch(
          "count_tiles",
          Grid.line(Math.ceilDiv(tiles, 4), 128, 16 * experts),
          counts,
          routed.expert_S,
          slots,
          experts,
          tile,
          tiles);
      launcher.launch("scan_tiles", Grid.line(experts, 256), counts, routed_E, experts, tiles);
      launcher.launch(
          "place",
          Grid.line(Math.ceilDiv(tiles, 4), 128, 20 * experts),
          chosen ? sorted.address() : routed.slotOfRow_R,
          routed.rowOfSlot_S,
          routed.offset_E1(),
          counts,
          routed_E,
          routed.expert_S,
          slots,
          experts,
          tile,
          tiles,
          room.rows(),
          chosen ? 1 : 0);
      if (chosen) {
        launcher.launch(
            "keep_by_priority",
            Grid.line(experts, 1024),
            routed.slotOfRow_R,
            routed.rowOfSlot_S,
            sorted,
            routed_E,
            routed.offset_E1(),
            room.rows(),
            routed.gate.k(),
            room.shuffled() ? 1 : 0,
            draws.seed(),
            (int) draws.step(),
            draws.layer(),
            draws.firstToken());
      }
    }
  }

  private void sum(CudaRouted routed) {
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

  @Override
  public void inputJitter(
      Tensor jittered_TD, Tensor factor_TD, Tensor h_TD, double epsilon, DrawKey key) {
    int tokens = h_TD.rows();
    int d = h_TD.columns();
    if (tokens > 0) {
      launcher.launch(
          "input_jitter",
          Grid.line(Math.ceilDiv((long) tokens * Math.ceilDiv(d, 8), 256), 256),
          CudaTensor.of(jittered_TD).addressToWrite(),
          CudaTensor.of(factor_TD).addressToWrite(),
          CudaTensor.of(h_TD).address(),
          tokens,
          d,
          epsilon,
          key.seed(),
          (int) key.step(),
          key.layer(),
          key.firstToken());
    }
  }

  @Override
  public void dispatch(Tensor sent_RD, Tensor h_TD, Routed routed) {
    CudaRouted to = (CudaRouted) routed;
    if (sent_RD.rows() > 0) {
      launcher.launch(
          "gather",
          Grid.line(Math.ceilDiv(sent_RD.rows(), 8), 256),
          CudaTensor.of(sent_RD).addressToWrite(),
          CudaTensor.of(h_TD).address(),
          to.slotOfRow_R,
          to.offset_E1() + 4L * to.experts,
          sent_RD.rows(),
          to.gate.k(),
          h_TD.columns());
    }
  }

  /** The addresses of the rows of each expert, on the device. */
  private Scratch addresses(Tensor[] rows_E, int d) {
    long[] addresses = new long[rows_E.length];
    for (int e = 0; e < addresses.length; e++) {
      if (rows_E[e].rows() > 0) {
        Shapes.shape("rows of expert " + e, rows_E[e], rows_E[e].rows(), d);
        addresses[e] = CudaTensor.of(rows_E[e]).address();
      }
    }
    return device.transfers().upload(addresses);
  }

  @Override
  public void combine(Tensor x_TD, Tensor mid_TD, Tensor[] y_E, Routed routed, Tensor omega_1D) {
    CudaRouted from = (CudaRouted) routed;
    int d = x_TD.columns();
    if (from.tokens > 0) {
      try (Scratch y = addresses(y_E, d)) {
        launcher.launch(
            "combine_layer",
            Grid.line(Math.ceilDiv(from.tokens, 8), 256),
            CudaTensor.of(x_TD).addressToWrite(),
            CudaTensor.of(mid_TD).address(),
            y,
            from.offset_E1(),
            from.rowOfSlot_S,
            from.expert_S,
            from.multiplier_S,
            in(omega_1D),
            from.tokens,
            from.gate.k(),
            d);
      }
    }
  }

  @Override
  public void combineBackward(
      Tensor dY_RD, Tensor dOmega_1D, Tensor dX_TD, Tensor[] y_E, Routed routed, Tensor omega_1D) {
    CudaRouted from = (CudaRouted) routed;
    int d = dX_TD.columns();
    if (from.tokens == 0) {
      return;
    }
    int threads = Math.min(512, Math.ceilDiv(Math.ceilDiv(d, 8), 32) * 32);
    int parts =
        Math.max(
            1,
            Math.min(
                Math.ceilDiv(from.slots, 16),
                device.gpu().multiprocessors() * Math.max(1, 704 / threads)));
    try (Scratch y = addresses(y_E, d);
        Tensor partial = omega_1D == null ? null : device.allocate(parts, d)) {
      launcher.launch(
          "combine_layer_backward",
          Grid.line(parts, threads),
          CudaTensor.of(dY_RD).addressToWrite(),
          from.s_S,
          out(partial),
          CudaTensor.of(dX_TD).address(),
          y,
          from.offset_E1(),
          from.slotOfRow_R,
          from.rowOfSlot_S,
          from.expert_S,
          from.multiplier_S,
          in(omega_1D),
          from.tokens,
          from.experts,
          from.gate.k(),
          d,
          parts);
      if (partial != null) {
        RowSums.add(device, dOmega_1D, in(partial), parts, d, true);
      }
    }
  }

  @Override
  public void logitsGradient(
      Tensor dLogits_TE, Routed routed, double[] load_E, double balanceFactor, double zFactor) {
    CudaRouted from = (CudaRouted) routed;
    if (from.tokens == 0) {
      return;
    }
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

  @Override
  public void dispatchBackward(Tensor dH_TD, Tensor[] dIn_E, Routed routed) {
    CudaRouted from = (CudaRouted) routed;
    int d = dH_TD.columns();
    if (from.tokens > 0) {
      try (Scratch dIn = addresses(dIn_E, d)) {
        launcher.launch(
            "dispatch_backward",
            Grid.line(Math.ceilDiv(from.tokens, 8), 256),
            CudaTensor.of(dH_TD).addressToWrite(),
            dIn,
            from.offset_E1(),
            from.rowOfSlot_S,
            from.expert_S,
            from.tokens,
            from.gate.k(),
            d);
      }
    }
  }
}
