package troupe.coordinator.bench;

import static troupe.coordinator.bench.ModelSizes.D;
import static troupe.coordinator.bench.ModelSizes.EXPERTS;
import static troupe.coordinator.bench.ModelSizes.FF;
import static troupe.coordinator.bench.ModelSizes.UPDATE_COLUMNS;
import static troupe.coordinator.bench.ModelSizes.VOCAB;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Function;
import troupe.core.tensor.Activation;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/**
 * Kernels that move more than they compute. Bytes are those that any implementation has to move:
 * one that reads an input twice gets a lower rate.
 */
final class MemoryBoundLoads {
  private final Device device;
  private final Kernels kernels;
  private final ModelSizes sizes;
  private final List<KernelLoad> loads = new ArrayList<>();

  /** Bytes of an activation. */
  private final double activation;

  /** Bytes of a parameter or statistic. */
  private final double exact;

  private MemoryBoundLoads(Device device, ModelSizes sizes) {
    this.device = device;
    this.kernels = device.kernels();
    this.sizes = sizes;
    this.activation = device.activationType().bytes();
    this.exact = device.dtype().bytes();
  }

  /** All of them. Where the host routes, kernels that take the host's indices stand in. */
  static List<KernelLoad> of(Device device, ModelSizes sizes) {
    MemoryBoundLoads table = new MemoryBoundLoads(device, sizes);
    table.optimizer();
    table.norms();
    table.elementwise();
    table.embedding();
    table.loss();
    table.gate();
    if (device.routing() == null) {
      table.hostRouting();
    } else {
      table.loads.addAll(RoutingLoads.of(device, sizes));
    }
    return table.loads;
  }

  private void add(
      String name, String size, double bytes, Function<ScratchTensors, Runnable> prepare) {
    loads.add(new KernelLoad(name, size, bytes, prepare));
  }

  private static String size(int rows, int columns) {
    return rows + " x " + columns;
  }

  private void optimizer() {
    int rows = sizes.updateRows();
    double count = (double) rows * UPDATE_COLUMNS;
    String size = size(rows, UPDATE_COLUMNS);
    // Parameter, two moments and gradient in, all but the gradient out; where activations have a
    // type of their own, parameters once more in that one.
    double copy = device.activationType() == device.dtype() ? 0 : activation;
    add(
        "adamw",
        size,
        count * (7 * exact + copy),
        scratch -> {
          Tensor param = scratch.exactNormal(rows, UPDATE_COLUMNS, 0.02);
          Tensor m = scratch.exactNormal(rows, UPDATE_COLUMNS, 1);
          Tensor v = scratch.exactPositive(rows, UPDATE_COLUMNS);
          Tensor grad = scratch.exactNormal(rows, UPDATE_COLUMNS, 1);
          // A product is what makes a device keep that copy.
          kernels.matmul(
              scratch.output(1, UPDATE_COLUMNS),
              scratch.normal(1, rows),
              false,
              param,
              false,
              false);
          AdamWStep step = new AdamWStep(1e-4, 0.9, 0.95, 1e-8, 100, 1);
          return () -> kernels.adamw(param, m, v, grad, step, 0.1);
        });
    add(
        "sumSquares",
        size,
        count * exact,
        scratch -> {
          Tensor out = scratch.exactOutput(1, 1);
          Tensor x = scratch.exactNormal(rows, UPDATE_COLUMNS, 1);
          return () -> kernels.sumSquares(out, x);
        });
    add(
        "fill with zeros",
        size,
        count * exact,
        scratch -> {
          Tensor x = scratch.exactOutput(rows, UPDATE_COLUMNS);
          return () -> kernels.fill(x, 0);
        });
  }

  private void norms() {
    int rows = sizes.tokens();
    double elements = (double) rows * D;
    add(
        "layerNormForward",
        size(rows, D),
        2 * elements * activation + (2.0 * rows + 2 * D) * exact,
        scratch -> {
          Tensor out = scratch.output(rows, D);
          Tensor mean = scratch.exactOutput(rows, 1);
          Tensor rstd = scratch.exactOutput(rows, 1);
          Tensor x = scratch.normal(rows, D);
          Tensor gain = scratch.exactNormal(1, D, 1);
          Tensor bias = scratch.exactNormal(1, D, 1);
          return () -> kernels.layerNormForward(out, mean, rstd, x, gain, bias, 1e-5);
        });
    add(
        "layerNormBackward",
        size(rows, D),
        4 * elements * activation + (2.0 * rows + 5 * D) * exact,
        scratch -> {
          Tensor dX = scratch.normal(rows, D);
          Tensor dGain = scratch.exactOutput(1, D);
          Tensor dBias = scratch.exactOutput(1, D);
          Tensor dOut = scratch.normal(rows, D);
          Tensor x = scratch.normal(rows, D);
          Tensor mean = scratch.exactNormal(rows, 1, 0.01);
          Tensor rstd = scratch.exactPositive(rows, 1);
          Tensor gain = scratch.exactNormal(1, D, 1);
          return () -> kernels.layerNormBackward(dX, dGain, dBias, dOut, x, mean, rstd, gain);
        });
  }

  private void elementwise() {
    int rows = sizes.tokens();
    double wide = (double) rows * FF;
    add(
        "activationForward GELU",
        size(rows, FF),
        2 * wide * activation,
        scratch -> {
          Tensor out = scratch.output(rows, FF);
          Tensor pre = scratch.normal(rows, FF);
          return () -> kernels.activationForward(out, pre, Activation.GELU);
        });
    add(
        "activationBackward GELU",
        size(rows, FF),
        3 * wide * activation,
        scratch -> {
          Tensor dPre = scratch.output(rows, FF);
          Tensor dOut = scratch.normal(rows, FF);
          Tensor pre = scratch.normal(rows, FF);
          return () -> kernels.activationBackward(dPre, dOut, pre, Activation.GELU);
        });
    add(
        "sumRows",
        size(rows, FF),
        wide * activation + 2.0 * FF * exact,
        scratch -> {
          Tensor out = scratch.exactOutput(1, FF);
          Tensor x = scratch.normal(rows, FF);
          return () -> kernels.sumRows(out, x);
        });
    add(
        "add",
        size(rows, D),
        3.0 * rows * D * activation,
        scratch -> {
          Tensor out = scratch.normal(rows, D);
          Tensor in = scratch.normal(rows, D);
          return () -> kernels.add(out, in);
        });
  }

  private void embedding() {
    int rows = sizes.tokens();
    int seq = sizes.seq();
    String size = size(rows, D) + " of " + VOCAB;
    int[] tokens = ScratchTensors.indices(rows, VOCAB);
    double used = (double) Arrays.stream(tokens).distinct().count() * D * exact;
    double positions = (double) seq * D * exact;
    double indices = (double) rows * Integer.BYTES;
    double elements = (double) rows * D * activation;
    add(
        "embeddingForward",
        size,
        elements + used + positions + indices,
        scratch -> {
          Tensor out = scratch.output(rows, D);
          Tensor tok = scratch.exactNormal(VOCAB, D, 0.02);
          Tensor pos = scratch.exactNormal(seq, D, 0.02);
          return () -> kernels.embeddingForward(out, tokens, tok, pos, seq);
        });
    add(
        "embeddingBackward",
        size,
        elements + 2 * (used + positions) + indices,
        scratch -> {
          Tensor dTok = scratch.exactOutput(VOCAB, D);
          Tensor dPos = scratch.exactOutput(seq, D);
          Tensor dOut = scratch.normal(rows, D);
          return () -> kernels.embeddingBackward(dTok, dPos, dOut, tokens, seq);
        });
  }

  private void loss() {
    int rows = sizes.tokens();
    add(
        "crossEntropy",
        size(rows, VOCAB),
        2.0 * rows * VOCAB * activation + rows * (exact + Integer.BYTES),
        scratch -> {
          Tensor losses = scratch.exactOutput(rows, 1);
          Tensor dLogits = scratch.output(rows, VOCAB);
          Tensor logits = scratch.normal(rows, VOCAB);
          int[] targets = ScratchTensors.indices(rows, VOCAB);
          return () -> kernels.crossEntropy(losses, dLogits, logits, targets, 1.0 / rows);
        });
  }

  /** Products, but so narrow that reading the tokens is all there is to them. */
  private void gate() {
    int rows = sizes.tokens();
    double bytes = (double) rows * D * activation + (double) rows * EXPERTS * exact;
    String size = rows + " x " + EXPERTS + " x " + D;
    add(
        "router logits",
        size,
        bytes + (double) D * EXPERTS * exact,
        scratch -> {
          Tensor logits = scratch.exactOutput(rows, EXPERTS);
          Tensor h = scratch.normal(rows, D);
          Tensor w = scratch.exactNormal(D, EXPERTS, 0.02);
          Tensor b = scratch.exactNormal(1, EXPERTS, 0.02);
          return () -> kernels.linear(logits, h, w, b, null);
        });
    add(
        "router weightGradient",
        size,
        bytes + 2.0 * D * EXPERTS * exact,
        scratch -> {
          Tensor dW = scratch.exactOutput(D, EXPERTS);
          Tensor dB = scratch.exactOutput(1, EXPERTS);
          Tensor h = scratch.normal(rows, D);
          Tensor dLogits = scratch.exactNormal(rows, EXPERTS, 1);
          return () -> kernels.weightGradient(dW, dB, h, dLogits, true);
        });
    add(
        "router inputGradient",
        size,
        bytes + (double) D * EXPERTS * exact,
        scratch -> {
          Tensor dH = scratch.output(rows, D);
          Tensor dLogits = scratch.exactNormal(rows, EXPERTS, 1);
          Tensor w = scratch.exactNormal(D, EXPERTS, 0.02);
          return () -> kernels.matmul(dH, dLogits, false, w, true, false);
        });
  }

  /** Rows of all experts at once, those of an expert in token order. */
  private void hostRouting() {
    int rows = sizes.tokens();
    int each = sizes.tokensOfExpert();
    double elements = (double) rows * D * activation;
    double indices = (double) rows * Integer.BYTES;
    int[] tokenOfRow = new int[rows];
    for (int row = 0; row < rows; row++) {
      tokenOfRow[row] = row % each * EXPERTS + row / each;
    }
    double[] multiplier = new double[rows];
    Arrays.fill(multiplier, 0.5);
    add(
        "gather",
        size(rows, D),
        2 * elements + indices,
        scratch -> {
          Tensor out = scratch.output(rows, D);
          Tensor in = scratch.normal(rows, D);
          return () -> kernels.gatherRows(out, in, tokenOfRow);
        });
    add(
        "combine",
        size(rows, D),
        3 * elements + indices + rows * (double) Double.BYTES + D * exact,
        scratch -> {
          Tensor x = scratch.normal(rows, D);
          Tensor y = scratch.normal(rows, D);
          Tensor omega = scratch.exactNormal(1, D, 0.1);
          return () -> kernels.combineForward(x, y, tokenOfRow, multiplier, omega);
        });
    add(
        "combineBackward",
        size(rows, D),
        3 * elements + indices + rows * (Double.BYTES + exact) + 3 * D * exact,
        scratch -> {
          Tensor dY = scratch.output(rows, D);
          Tensor s = scratch.exactOutput(rows, 1);
          Tensor dOmega = scratch.exactOutput(1, D);
          Tensor dX = scratch.normal(rows, D);
          Tensor y = scratch.normal(rows, D);
          Tensor omega = scratch.exactNormal(1, D, 0.1);
          return () -> kernels.combineBackward(dY, s, dOmega, dX, y, tokenOfRow, multiplier, omega);
        });
    add(
        "dispatchBackward",
        size(rows, D),
        3 * elements + indices,
        scratch -> {
          Tensor dH = scratch.normal(rows, D);
          Tensor dIn = scratch.normal(rows, D);
          return () -> kernels.scatterAddRows(dH, dIn, tokenOfRow);
        });
  }
}
