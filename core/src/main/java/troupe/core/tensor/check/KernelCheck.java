package troupe.core.tensor.check;

import java.util.List;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.check.KernelCase.Result;

/** Compares the kernels of a device with the reference. */
public final class KernelCheck {
  /**
   * Norm of the error of float32 results over that of the result: a float carries 6e-8; sums of a
   * few hundred products and the exponential function lose up to two digits of it.
   */
  private static final double EXACT = 1e-5;

  /** The same of results in bf16, which has three digits. */
  private static final double ROUNDED = 1e-2;

  private final Expected<KernelCase, List<Result>> expected =
      Expected.begin(KernelCases.all(), (reference, one) -> one.runOn(reference));

  private KernelCheck() {}

  /** A kernel that is wrong. */
  public static final class WrongKernelException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** Says which kernel, and how far off it is. */
    public WrongKernelException(String message) {
      super(message);
    }
  }

  /** Has the reference begin with every case. */
  public static KernelCheck begin() {
    return new KernelCheck();
  }

  /**
   * Runs every case on a device. Several may be checked at the same time.
   *
   * @return how many there were
   * @throws WrongKernelException naming the first case whose result is too far off
   */
  public int all(Device device) {
    return expected.compare(
        kernelCase -> kernelCase.runOn(device),
        (kernelCase, reference, found) -> compare(kernelCase, reference, found, device));
  }

  /** Runs one case on a device and on the reference. */
  public static void check(KernelCase kernelCase, Device reference, Device device) {
    compare(kernelCase, kernelCase.runOn(reference), kernelCase.runOn(device), device);
  }

  private static void compare(
      KernelCase kernelCase, List<Result> expected, List<Result> found, Device device) {
    for (int i = 0; i < expected.size(); i++) {
      double tolerance = found.get(i).type() == DType.BF16 ? ROUNDED : EXACT;
      close(
          kernelCase.name() + " on " + device.name() + ": result " + i,
          expected.get(i).values(),
          found.get(i).values(),
          tolerance);
    }
  }

  /**
   * Requires the norm of the difference to be small against that of what is expected.
   *
   * @throws WrongKernelException starting with {@code what}
   */
  public static void close(String what, double[] expected, double[] found, double tolerance) {
    double error = relativeError(expected, found);
    // Written so that not-a-number fails.
    if (!(error <= tolerance)) {
      throw new WrongKernelException(
          "kernel %s is off by %.2g of its norm (expected: <= %.0e)"
              .formatted(what, error, tolerance));
    }
  }

  private static double relativeError(double[] expected, double[] found) {
    if (expected.length != found.length) {
      return Double.POSITIVE_INFINITY;
    }
    double error = 0;
    double norm = 0;
    for (int i = 0; i < expected.length; i++) {
      error += (found[i] - expected[i]) * (found[i] - expected[i]);
      norm += expected[i] * expected[i];
    }
    // Inputs are about one: of a result that is far smaller, digits have cancelled.
    return error == 0 ? 0 : Math.sqrt(error / Math.max(norm, expected.length));
  }
}
