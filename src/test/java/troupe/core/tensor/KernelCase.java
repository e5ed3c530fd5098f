package troupe.core.tensor;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * One call of one kernel at one shape, runnable on any device. Inputs are floats drawn from a seed,
 * so that devices of both precisions start from the same numbers.
 *
 * @param name kernel and shape
 * @param body draws its tensors from a {@link Run} and names those to compare
 */
record KernelCase(String name, Body body) {
  /** Draws, calls, keeps. */
  interface Body {
    void run(Run run);
  }

  /** What the kernel wrote, one array a tensor, in the order of {@link Run#keep}. */
  List<double[]> runOn(Device device) {
    Run run = new Run(device, new Random(name.hashCode()));
    try {
      body.run(run);
      return run.kept.stream().map(Tensor::toDoubles).toList();
    } finally {
      run.tensors.forEach(Tensor::close);
    }
  }

  @Override
  public String toString() {
    return name;
  }

  /** The tensors of one run of a case. */
  static final class Run {
    private final Device device;
    private final Random random;
    private final List<Tensor> tensors = new ArrayList<>();
    private final List<Tensor> kept = new ArrayList<>();

    private Run(Device device, Random random) {
      this.device = device;
      this.random = random;
    }

    Kernels kernels() {
      return device.kernels();
    }

    Random random() {
      return random;
    }

    /** Standard normal elements. */
    Tensor normal(int rows, int columns) {
      Tensor tensor = own(device.allocate(rows, columns));
      float[] values = new float[Math.toIntExact(tensor.size())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      tensor.set(values);
      return tensor;
    }

    /** Elements in [0, 1). */
    Tensor uniform(int rows, int columns) {
      Tensor tensor = own(device.allocate(rows, columns));
      float[] values = new float[Math.toIntExact(tensor.size())];
      for (int i = 0; i < values.length; i++) {
        values[i] = random.nextFloat();
      }
      tensor.set(values);
      return tensor;
    }

    /** A tensor whose old contents must not matter: all of it is not-a-number. */
    Tensor output(int rows, int columns) {
      Tensor tensor = own(device.allocate(rows, columns));
      kernels().fill(tensor, Double.NaN);
      return tensor;
    }

    int[] indices(int count, int bound) {
      return random.ints(count, 0, bound).toArray();
    }

    double[] multipliers(int count) {
      double[] values = new double[count];
      for (int i = 0; i < count; i++) {
        values[i] = (float) random.nextDouble();
      }
      return values;
    }

    Tensor own(Tensor tensor) {
      tensors.add(tensor);
      return tensor;
    }

    /** Compares this tensor with the reference's once the case has run. */
    void keep(Tensor... results) {
      kept.addAll(List.of(results));
    }
  }
}
