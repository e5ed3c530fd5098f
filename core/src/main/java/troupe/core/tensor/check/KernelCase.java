package troupe.core.tensor.check;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntConsumer;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/**
 * One call of one kernel at one shape, runnable on any device. Inputs are drawn from a seed; those
 * that stand for activations have no more bits than bf16, so that all devices start from the same
 * numbers.
 *
 * @param name kernel and shape
 * @param body draws its tensors from a {@link Run} and names those to compare
 */
public record KernelCase(String name, Body body) {
  /** Draws, calls, keeps. */
  interface Body {
    void run(Run run);
  }

  /**
   * What a kernel wrote into one tensor.
   *
   * @param type the type that it was rounded to
   */
  public record Result(double[] values, DType type) {}

  /** What the kernel wrote, in the order of {@link Run#keep}. */
  public List<Result> runOn(Device device) {
    Run run = new Run(device, new SplittableRandom(name.hashCode()));
    try {
      body.run(run);
      return run.kept.stream()
          .map(tensor -> new Result(tensor.toDoubles(), tensor.dtype()))
          .toList();
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
    private static final int BF16_MASK = 0xFFFF0000;

    private final Device device;
    private final SplittableRandom random;
    private final List<Tensor> tensors = new ArrayList<>();
    private final List<Tensor> kept = new ArrayList<>();

    private Run(Device device, SplittableRandom random) {
      this.device = device;
      this.random = random;
    }

    Kernels kernels() {
      return device.kernels();
    }

    /** Work of several experts, who ask the device in turn. */
    void concurrently(int count, IntConsumer work) {
      for (int key = 0; key < count; key++) {
        int its = key;
        device.concurrently(its, () -> work.accept(its));
      }
    }

    /** Work of one expert, or of somebody who is none. */
    void work(boolean ofExpert, Runnable work) {
      if (ofExpert) {
        device.concurrently(0, work);
      } else {
        work.run();
      }
    }

    /** Activations, standard normal. */
    Tensor normal(int rows, int columns) {
      Tensor tensor = own(device.allocateActivations(rows, columns));
      float[] values = normals(tensor);
      for (int i = 0; i < values.length; i++) {
        values[i] = Float.intBitsToFloat(Float.floatToRawIntBits(values[i]) & BF16_MASK);
      }
      tensor.set(values);
      return tensor;
    }

    /** Parameters, gradients of parameters or statistics, standard normal. */
    Tensor exactNormal(int rows, int columns) {
      Tensor tensor = own(device.allocate(rows, columns));
      tensor.set(normals(tensor));
      return tensor;
    }

    /** Adds something to all that is positive, and takes it from the rest. */
    void moveFromZero(Tensor tensor, float distance) {
      double[] old = tensor.toDoubles();
      float[] values = new float[old.length];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) old[i] + (old[i] >= 0 ? distance : -distance);
      }
      tensor.set(values);
    }

    private float[] normals(Tensor tensor) {
      float[] values = new float[Math.toIntExact(tensor.size())];
      for (int i = 0; i < values.length; i++) {
        values[i] = (float) random.nextGaussian();
      }
      return values;
    }

    /** Parameters or statistics in [0, 1). */
    Tensor exactUniform(int rows, int columns) {
      Tensor tensor = own(device.allocate(rows, columns));
      float[] values = new float[Math.toIntExact(tensor.size())];
      for (int i = 0; i < values.length; i++) {
        values[i] = random.nextFloat();
      }
      tensor.set(values);
      return tensor;
    }

    /** Activations whose old contents must not matter: all of them are not-a-number. */
    Tensor output(int rows, int columns) {
      return poisoned(device.allocateActivations(rows, columns));
    }

    /** The same for what is no activation. */
    Tensor exactOutput(int rows, int columns) {
      return poisoned(device.allocate(rows, columns));
    }

    private Tensor poisoned(Tensor tensor) {
      kernels().fill(own(tensor), Double.NaN);
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
