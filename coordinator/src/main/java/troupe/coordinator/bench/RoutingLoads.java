package troupe.coordinator.bench;

import static troupe.coordinator.bench.ModelSizes.D;
import static troupe.coordinator.bench.ModelSizes.EXPERTS;

import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import troupe.core.tensor.Device;
import troupe.core.tensor.RoutingKernels;
import troupe.core.tensor.RoutingKernels.Choice;
import troupe.core.tensor.RoutingKernels.DrawKey;
import troupe.core.tensor.RoutingKernels.Gate;
import troupe.core.tensor.RoutingKernels.Input;
import troupe.core.tensor.RoutingKernels.Mask;
import troupe.core.tensor.RoutingKernels.Pair;
import troupe.core.tensor.RoutingKernels.Room;
import troupe.core.tensor.RoutingKernels.Routed;
import troupe.core.tensor.RoutingKernels.Scale;
import troupe.core.tensor.RoutingKernels.Scores;
import troupe.core.tensor.Tensor;

/** What a device that routes does with the rows of a layer. */
final class RoutingLoads {
  private static final Scale SCALE = new Scale(true, true, List.of(0.5), List.of(1.0));

  /** SparseMixer as defaults.conf has it. */
  private static final Gate GATE =
      new Gate(Choice.SPARSE_MIXER, 1, Mask.CODE, SCALE, 0.1, 2, Scores.PLAIN, Pair.BEST);

  private static final DrawKey KEY = new DrawKey(0, 1, 0, 0);
  private static final Room DROPLESS = new Room(Integer.MAX_VALUE, false);

  private final Device device;
  private final RoutingKernels routing;
  private final int rows;

  private RoutingLoads(Device device, int rows) {
    this.device = device;
    this.routing = device.routing();
    this.rows = rows;
  }

  static List<KernelLoad> of(Device device, ModelSizes sizes) {
    RoutingLoads table = new RoutingLoads(device, sizes.tokens());
    return table.all();
  }

  private List<KernelLoad> all() {
    double exact = device.dtype().bytes();
    double elements = (double) rows * D * device.activationType().bytes();
    double logits = (double) rows * EXPERTS * exact;
    // A number a token: expert, multiplier, row of the token, token of the row ...
    double column = 4.0 * rows;
    return List.of(
        // Logits in; probabilities and five numbers a token out.
        load("route", EXPERTS, 2 * logits + 5 * column, this::route),
        load("gather", D, 2 * elements + column, this::gather),
        load("combine", D, 3 * elements + 3 * column + D * exact, this::combine),
        load(
            "combineBackward", D, 3 * elements + 4 * column + 3 * D * exact, this::combineBackward),
        load("logitsGradient", EXPERTS, 2 * logits + 2 * column, this::logitsGradient),
        load("dispatchBackward", D, 3 * elements + 2 * column, this::dispatchBackward));
  }

  private KernelLoad load(
      String name, int columns, double bytes, Function<ScratchTensors, Runnable> prepare) {
    return new KernelLoad(name, rows + " x " + columns, bytes, prepare);
  }

  private Runnable route(ScratchTensors scratch) {
    Tensor logits_TE = scratch.exactNormal(rows, EXPERTS, 1);
    return () -> {
      // A view, for a routing closes what it is given.
      try (Routed routed =
          routing.route(Input.of(logits_TE.rows(0, rows)), GATE, KEY, DROPLESS, true)) {
        // The memory that its summary is read from goes with it.
        routed.summary();
      }
    };
  }

  private Routed routed(ScratchTensors scratch) {
    Tensor logits_TE = scratch.exactNormal(rows, EXPERTS, 1);
    Routed routed =
        scratch.own(routing.route(Input.of(logits_TE.rows(0, rows)), GATE, KEY, DROPLESS, true));
    routed.summary();
    return routed;
  }

  private Tensor[] experts(ScratchTensors scratch, Routed routed) {
    int[] offset_E1 = routed.summary().offset_E1();
    Tensor[] rows_E = new Tensor[EXPERTS];
    for (int e = 0; e < EXPERTS; e++) {
      rows_E[e] = scratch.normal(offset_E1[e + 1] - offset_E1[e], D);
    }
    return rows_E;
  }

  private Runnable gather(ScratchTensors scratch) {
    Routed routed = routed(scratch);
    Tensor sent_RD = scratch.output(rows, D);
    Tensor h_TD = scratch.normal(rows, D);
    return () -> routing.dispatch(sent_RD, h_TD, routed);
  }

  private Runnable combine(ScratchTensors scratch) {
    Routed routed = routed(scratch);
    Tensor[] y_E = experts(scratch, routed);
    Tensor x_TD = scratch.output(rows, D);
    Tensor mid_TD = scratch.normal(rows, D);
    Tensor omega_1D = scratch.exactNormal(1, D, 0.1);
    return () -> routing.combine(x_TD, mid_TD, y_E, routed, omega_1D);
  }

  private Runnable combineBackward(ScratchTensors scratch) {
    Routed routed = routed(scratch);
    Tensor[] y_E = experts(scratch, routed);
    Tensor dY_RD = scratch.output(rows, D);
    Tensor dOmega_1D = scratch.exactOutput(1, D);
    Tensor dX_TD = scratch.normal(rows, D);
    Tensor omega_1D = scratch.exactNormal(1, D, 0.1);
    return () -> routing.combineBackward(dY_RD, dOmega_1D, dX_TD, y_E, routed, omega_1D);
  }

  private Runnable logitsGradient(ScratchTensors scratch) {
    Routed routed = routed(scratch);
    // What it starts from is what the backward pass of combine leaves in the routing.
    routing.combineBackward(
        scratch.output(rows, D),
        null,
        scratch.normal(rows, D),
        experts(scratch, routed),
        routed,
        null);
    Tensor dLogits_TE = scratch.exactOutput(rows, EXPERTS);
    double[] load_E = new double[EXPERTS];
    Arrays.fill(load_E, 1.0 / EXPERTS);
    return () -> routing.logitsGradient(dLogits_TE, routed, null, load_E, 1e-6, 0);
  }

  private Runnable dispatchBackward(ScratchTensors scratch) {
    Routed routed = routed(scratch);
    Tensor[] dIn_E = experts(scratch, routed);
    Tensor dH_TD = scratch.normal(rows, D);
    return () -> routing.dispatchBackward(dH_TD, dIn_E, routed);
  }
}
