package troupe.coordinator.bench;

import static troupe.coordinator.bench.ModelSizes.D;
import static troupe.coordinator.bench.ModelSizes.FF;
import static troupe.coordinator.bench.ModelSizes.HEADS;
import static troupe.coordinator.bench.ModelSizes.VOCAB;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.WeightGradient;

/** Every matrix product of the model, and attention. Weights are exact, activations may not be. */
final class ProductLoads {
  private final Kernels kernels;
  private final List<KernelLoad> loads = new ArrayList<>();

  private ProductLoads(Device device) {
    this.kernels = device.kernels();
  }

  static List<KernelLoad> of(Device device, ModelSizes sizes) {
    ProductLoads table = new ProductLoads(device);
    table.layer("qkv", sizes.tokens(), D, 3 * D);
    table.layer("proj", sizes.tokens(), D, D);
    table.attentionGradients(sizes.tokens());
    table.layer("expert w1", sizes.tokensOfExpert(), D, FF);
    table.layer("expert w2", sizes.tokensOfExpert(), FF, D);
    table.layer("head", sizes.tokens(), D, VOCAB);
    table.attention(device, sizes);
    return table.loads;
  }

  private void add(
      String name, String size, double flops, Function<ScratchTensors, Runnable> prepare) {
    loads.add(new KernelLoad(name, size, flops, prepare));
  }

  /** Forward, the gradient of the input and that of the weights of a linear layer. */
  private void layer(String name, int rows, int inputs, int outputs) {
    double flops = 2.0 * rows * inputs * outputs;
    add(
        name,
        rows + " x " + outputs + " x " + inputs,
        flops,
        scratch -> {
          Tensor out = scratch.output(rows, outputs);
          Tensor x = scratch.normal(rows, inputs);
          Tensor w = scratch.exactNormal(inputs, outputs, 0.02);
          return () -> kernels.matmul(out, x, false, w, false, false);
        });
    add(
        name + " inputGradient",
        rows + " x " + inputs + " x " + outputs,
        flops,
        scratch -> {
          Tensor dX = scratch.output(rows, inputs);
          Tensor dOut = scratch.normal(rows, outputs);
          Tensor w = scratch.exactNormal(inputs, outputs, 0.02);
          return () -> kernels.matmul(dX, dOut, false, w, true, false);
        });
    add(
        name + " weightGradient",
        inputs + " x " + outputs + " x " + rows,
        flops,
        scratch -> {
          Tensor dW = scratch.exactOutput(inputs, outputs);
          Tensor x = scratch.normal(rows, inputs);
          Tensor dOut = scratch.normal(rows, outputs);
          return () -> kernels.matmul(dW, x, true, dOut, false, false);
        });
  }

  /** The weight gradients of qkv and proj, with those of their biases, as the trunk wants them. */
  private void attentionGradients(int rows) {
    add(
        "qkv and proj weightGradients",
        D + " x " + 4 * D + " x " + rows,
        2.0 * rows * D * 4 * D,
        scratch -> {
          List<WeightGradient> both =
              List.of(gradient(scratch, rows, 3 * D), gradient(scratch, rows, D));
          return () -> kernels.weightGradients(both);
        });
  }

  private static WeightGradient gradient(ScratchTensors scratch, int rows, int outputs) {
    return new WeightGradient(
        scratch.exactOutput(D, outputs),
        scratch.exactOutput(1, outputs),
        scratch.normal(rows, D),
        scratch.normal(rows, outputs),
        false);
  }

  private void attention(Device device, ModelSizes sizes) {
    AttentionBench.Shape shape =
        new AttentionBench.Shape(sizes.batch(), sizes.seq(), HEADS, D / HEADS);
    String size = "%d x %d, %d x %d".formatted(shape.batch(), shape.seq(), HEADS, shape.headSize());
    add(
        "attentionForward",
        size,
        shape.forwardFlops(),
        scratch -> new AttentionBench.Pass(device, scratch, shape)::forward);
    add(
        "attentionBackward",
        size,
        shape.backwardFlops(),
        scratch -> {
          AttentionBench.Pass pass = new AttentionBench.Pass(device, scratch, shape);
          pass.forward();
          return pass::backward;
        });
  }
}
