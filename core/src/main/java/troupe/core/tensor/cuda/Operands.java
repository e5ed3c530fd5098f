package troupe.core.tensor.cuda;

import troupe.core.tensor.DType;
import troupe.core.tensor.Tensor;

/** What kernels are given: addresses of tensors of the types that they know. */
final class Operands {
  private Operands() {}

  /** The address of what a kernel reads, or 0 for {@code null}. */
  static long in(Tensor tensor) {
    return tensor == null ? 0 : CudaTensor.of(tensor).address();
  }

  /** The address of what a kernel writes, or 0 for {@code null}. */
  static long out(Tensor tensor) {
    return tensor == null ? 0 : CudaTensor.of(tensor).addressToWrite();
  }

  /**
   * Requires an address to be a multiple of so many bytes, of kernels that know whole vectors
   * alone: on a GPU another would be an error that ends all work there.
   *
   * @throws IllegalArgumentException naming the argument
   */
  static long aligned(String name, long address, int bytes) {
    if (address % bytes != 0) {
      throw new IllegalArgumentException(
          "%s: begins %d bytes beyond (expected: at a multiple of %d)"
              .formatted(name, address % bytes, bytes));
    }
    return address;
  }

  static boolean isBf16(Tensor tensor) {
    return tensor.dtype() == DType.BF16;
  }

  /** A kernel's variant for the type of a tensor. */
  static String typed(String kernel, Tensor tensor) {
    return kernel + (isBf16(tensor) ? "_bf16" : "_f32");
  }

  /**
   * Requires a tensor to be of a type; {@code null} is of any.
   *
   * @throws IllegalArgumentException naming the argument
   */
  static void type(String name, Tensor tensor, DType expected) {
    if (tensor != null && tensor.dtype() != expected) {
      throw new IllegalArgumentException(
          name + ": " + tensor.dtype() + " (expected: " + expected + ")");
    }
  }

  /** Requires bf16, as {@link #type}. */
  static void bf16(String name, Tensor tensor) {
    type(name, tensor, DType.BF16);
  }

  /** Requires float32, as {@link #type}. */
  static void f32(String name, Tensor tensor) {
    type(name, tensor, DType.F32);
  }
}
