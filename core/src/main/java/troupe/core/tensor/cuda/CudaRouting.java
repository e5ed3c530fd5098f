package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.out;

import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/**
 * What a layer does with rows on a GPU, the kernels of {@code routing.cu}: see there for launches
 * and workspaces. {@link CudaGates} decides who goes where.
 */
final class CudaRouting implements RoutingKernels {
  private final CudaDevice device;
  private final Launcher launcher;
  private final CudaGates gates;

  CudaRouting(CudaDevice device) {
    this.device = device;
    this.launcher = device.launcher();
    this.gates = new CudaGates(device);
  }

  @Override
  public Routed route(Input input, Gate gate, DrawKey key, Room room, boolean training) {
    CudaRouted routed = new CudaRouted(device, input.logits_TE(), gate, training);
    DrawKey draws = key == null ? new DrawKey(0, 0, 0, 0) : key;
    try {
      gates.choose(routed, input, draws);
      sort(routed, draws, room);
      gates.sharePlaced(routed);
      gates.sum(routed);
      routed.readSummary();
      return routed;
    } catch (RuntimeException e) {
      routed.close();
      throw e;
    }
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
      Tensor dLogits_TE,
      Routed routed,
      double[] advantage_T,
      double[] load_E,
      double balanceFactor,
      double zFactor) {
    CudaRouted from = (CudaRouted) routed;
    if (from.tokens > 0) {
      gates.logitsGradient(dLogits_TE, from, advantage_T, load_E, balanceFactor, zFactor);
    }
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
