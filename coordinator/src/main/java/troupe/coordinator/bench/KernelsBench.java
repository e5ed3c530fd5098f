package troupe.coordinator.bench;

import java.util.List;
import java.util.function.Consumer;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;

/**
 * Measures two ceilings of a device, how fast it copies and how fast it multiplies matrices, and
 * then how near each kernel comes to the one that binds it.
 */
public final class KernelsBench implements AutoCloseable {
  private static final int COPIED_COLUMNS = 1 << 13;

  /** Far more than any cache holds: 1 GiB of float32 in, 1 GiB out. */
  private static final int MOST_COPIED_ROWS = 1 << 15;

  private static final int LEAST_COPIED_ROWS = 1 << 11;

  /** A processor takes a second for what a GPU does in a millisecond. */
  private static final int PRODUCT_OF_DEVICE = 8192;

  private static final int PRODUCT_OF_HOST = 1024;

  private final Device device;
  private final ModelSizes sizes;
  private final DeviceTimer timer;

  /** What a kernel is compared with. */
  public enum Bound {
    /** A large copy. */
    COPY,
    /** A large product. */
    PRODUCT
  }

  /**
   * What a device can do.
   *
   * @param copy bytes a second that a large copy reads and writes
   * @param productSize rows and columns of the matrices that were multiplied
   * @param product operations a second of their product, all of the type of activations
   */
  public record Ceilings(double copy, int productSize, double product) {}

  /**
   * What one kernel reached.
   *
   * @param perSecond bytes, or operations, a second
   * @param share of the ceiling
   */
  public record Reached(String name, String size, double ms, double perSecond, double share) {}

  /**
   * A benchmark of a device, which stays the caller's.
   *
   * @param scale what the tokens of configs/h200-8e.conf are divided by
   * @throws troupe.core.UserException for a scale that does not divide them
   */
  public KernelsBench(Device device, int scale, Repeats repeats) {
    this.device = device;
    this.sizes = new ModelSizes(scale);
    this.timer = new DeviceTimer(device, repeats);
  }

  /** Tokens that kernels are given. */
  public int tokens() {
    return sizes.tokens();
  }

  /** Measures what the device can do. */
  public Ceilings ceilings() {
    int n = device.isHostMemory() ? PRODUCT_OF_HOST : PRODUCT_OF_DEVICE;
    return new Ceilings(perSecond(copy()), n, perSecond(product(n)));
  }

  /** Measures each kernel that is bound by this. */
  public void measure(Bound bound, Ceilings ceilings, Consumer<Reached> whenMeasured) {
    List<KernelLoad> loads =
        switch (bound) {
          case COPY -> MemoryBoundLoads.of(device, sizes);
          case PRODUCT -> ProductLoads.of(device, sizes);
        };
    double most = bound == Bound.COPY ? ceilings.copy() : ceilings.product();
    for (KernelLoad load : loads) {
      double perSecond = perSecond(load);
      whenMeasured.accept(
          new Reached(
              load.name(),
              load.size(),
              load.amount() / perSecond * 1e3,
              perSecond,
              perSecond / most));
    }
  }

  private double perSecond(KernelLoad load) {
    try (ScratchTensors scratch = new ScratchTensors(device)) {
      return load.amount() / Median.of(timer.kernelMs(load.prepare().apply(scratch))) * 1e3;
    }
  }

  private KernelLoad copy() {
    int rows = Math.max(LEAST_COPIED_ROWS, MOST_COPIED_ROWS / sizes.scale());
    return new KernelLoad(
        "copy",
        rows + " x " + COPIED_COLUMNS,
        2.0 * rows * COPIED_COLUMNS * device.dtype().bytes(),
        scratch -> {
          Tensor out = scratch.exactOutput(rows, COPIED_COLUMNS);
          Tensor in = scratch.exactNormal(rows, COPIED_COLUMNS, 1);
          return () -> device.kernels().copy(out, in);
        });
  }

  private KernelLoad product(int n) {
    return new KernelLoad(
        "product",
        n + " x " + n + " x " + n,
        2.0 * n * n * n,
        scratch -> {
          Tensor out = scratch.output(n, n);
          Tensor a = scratch.normal(n, n);
          Tensor b = scratch.normal(n, n);
          return () -> device.kernels().matmul(out, a, false, b, false, false);
        });
  }

  @Override
  public void close() {
    timer.close();
  }
}
