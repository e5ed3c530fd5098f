package troupe.core.tensor.cuda;

import troupe.core.tensor.Kernels;

/** A part of {@link CudaKernels}: it has methods for some of the kernels, and no state. */
interface KernelPart extends Kernels {
  /** Whose kernels they are. */
  CudaDevice device();

  /** Queues a kernel, as {@link Launcher#launch}. */
  default void launch(String kernel, Grid grid, Object... arguments) {
    device().launcher().launch(kernel, grid, arguments);
  }
}
