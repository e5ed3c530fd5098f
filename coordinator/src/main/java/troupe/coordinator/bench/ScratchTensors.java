package troupe.coordinator.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import troupe.core.nn.ParameterSpec;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;

/**
 * The tensors of one measurement; all go back to the device at its end. Inputs are normal draws:
 * products of zeros draw less power, so that a GPU runs them at a higher clock.
 */
final class ScratchTensors implements AutoCloseable {
  /**
   * Draws that are used over and over: a prime number, so that no two rows of a matrix begin at the
   * same one until that many are filled.
   */
  private static final int DRAWS = 1_000_003;

  private static final int MOST_AT_ONCE = 1 << 22;
  private static final float[] NORMAL = normal();

  private final Device device;
  private final List<AutoCloseable> owned = new ArrayList<>();

  ScratchTensors(Device device) {
    this.device = device;
  }

  private static float[] normal() {
    SplittableRandom random = new SplittableRandom(1);
    float[] draws = new float[DRAWS];
    for (int i = 0; i < DRAWS; i++) {
      draws[i] = (float) random.nextGaussian();
    }
    return draws;
  }

  /** Activations, standard normal. */
  Tensor normal(int rows, int columns) {
    return filled(output(rows, columns), 1);
  }

  /** Parameters, gradients of parameters or statistics, normal. */
  Tensor exactNormal(int rows, int columns, double standardDeviation) {
    return filled(own(device.allocate(rows, columns)), standardDeviation);
  }

  /** Statistics above zero, as second moments are. */
  Tensor exactPositive(int rows, int columns) {
    Tensor tensor = exactNormal(rows, columns, 1);
    device.kernels().multiply(tensor, tensor, tensor);
    return tensor;
  }

  /** Activations that somebody will write. */
  Tensor output(int rows, int columns) {
    return own(device.allocateActivations(rows, columns));
  }

  /** What is no activation, and something may be added to: zeros. */
  Tensor exactOutput(int rows, int columns) {
    return own(device.zeros(rows, columns));
  }

  /** Indices below a bound, evenly drawn. */
  static int[] indices(int count, int bound) {
    return new SplittableRandom(2).ints(count, 0, bound).toArray();
  }

  /** Parameters, matrices filled with normal draws; vectors stay zero. */
  Parameters parameters(Parameters zeros, double standardDeviation) {
    owned.add(zeros);
    for (ParameterSpec spec : zeros.layout().specs()) {
      if (spec.rows() > 1) {
        filled(zeros.get(spec.name()), standardDeviation);
      }
    }
    return zeros;
  }

  <T extends AutoCloseable> T own(T resource) {
    owned.add(resource);
    return resource;
  }

  /** Some rows at a time: the whole may be more than the host has room for. */
  private static Tensor filled(Tensor tensor, double standardDeviation) {
    int columns = tensor.columns();
    int most = Math.max(1, MOST_AT_ONCE / columns);
    float factor = (float) standardDeviation;
    int next = 0;
    for (int row = 0; row < tensor.rows(); row += most) {
      int rows = Math.min(most, tensor.rows() - row);
      float[] values = new float[rows * columns];
      for (int i = 0; i < values.length; i++) {
        values[i] = factor * NORMAL[next];
        next = next + 1 == DRAWS ? 0 : next + 1;
      }
      tensor.rows(row, rows).set(values);
    }
    return tensor;
  }

  @Override
  public void close() {
    for (AutoCloseable each : owned.reversed()) {
      try {
        each.close();
      } catch (Exception e) {
        throw new IllegalStateException(e);
      }
    }
    owned.clear();
  }
}
