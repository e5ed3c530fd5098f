package troupe.core.tensor;

import java.nio.file.Path;
import java.util.function.BooleanSupplier;

/**
 * Something that holds tensors and runs kernels on them. Devices are safe to use from several
 * threads at once; a tensor is not.
 */
public interface Device extends AutoCloseable {
  /**
   * The name that selects this device in a config: {@code cpu}, {@code cuda:0}, {@code nd4j},
   * {@code reference}.
   */
  String name();

  /** The element type of parameters, gradients, moments and statistics. */
  DType dtype();

  /** The element type of activations and their gradients. */
  default DType activationType() {
    return dtype();
  }

  /** The kernels of this device. */
  Kernels kernels();

  /**
   * A tensor of type {@link #dtype} with undefined elements. Memory comes from a pool and returns
   * there on {@link Tensor#close}, so allocation is cheap once a run is warm.
   *
   * @throws IllegalArgumentException if {@code rows < 0} or {@code columns < 1}
   */
  Tensor allocate(int rows, int columns);

  /** The same of type {@link #activationType}. */
  default Tensor allocateActivations(int rows, int columns) {
    return allocate(rows, columns);
  }

  /** A tensor of zeros. */
  default Tensor zeros(int rows, int columns) {
    Tensor tensor = allocate(rows, columns);
    kernels().fill(tensor, 0);
    return tensor;
  }

  /** A tensor with these elements. */
  default Tensor of(int rows, int columns, double... values) {
    Tensor tensor = allocate(rows, columns);
    tensor.set(values);
    return tensor;
  }

  /**
   * Elements that the optimizer updates at a time: a step that is interrupted loses no more than
   * that much work.
   */
  default int updateChunk() {
    // Parameters, moments and gradient of so many stay in the second-level cache.
    return 16_384;
  }

  /** Whether {@link Tensor#bytes} reaches the memory of tensors; else they are copied. */
  default boolean isHostMemory() {
    return true;
  }

  /**
   * Starts to copy all elements of a tensor to the host. What is asked of the device later waits
   * for nothing; where the host computes, the copy is done when this returns.
   */
  default Readback read(Tensor tensor) {
    return Readback.of(tensor.toDoubles());
  }

  /** What routes tokens without a word to the host, or {@code null} where the host routes. */
  default RoutingKernels routing() {
    return null;
  }

  /**
   * Does {@code work} whose kernels may run beside those of other keys. It sees what was asked of
   * the device before; work of the same key is done in order; whatever is asked of the device
   * outside waits for all of it. Where a device does one thing after the other anyway, this just
   * runs it.
   */
  default void concurrently(int key, Runnable work) {
    work.run();
  }

  /**
   * Begins to copy a tensor to memory of the host, for another process. Nobody waits: not the
   * device's work, nor the caller.
   *
   * @param ready from {@link #fence}; {@code null} stands for now
   * @param last whether the tensor is not needed any more: it may be closed once it is copied
   * @throws UnsupportedOperationException where {@link #isHostMemory}
   */
  default Staged copyOut(Tensor tensor, Fence ready, boolean last) {
    throw inHostMemory();
  }

  /**
   * Begins to copy a tensor to a shelf, from where devices of other processes of this machine can
   * pick it up. As {@link #copyOut}, but {@code null} where there is no such shelf, or no room on
   * it.
   *
   * @param ready as for {@link #copyOut}
   * @param last as for {@link #copyOut}
   */
  default Staged shelve(Tensor tensor, Fence ready, boolean last) {
    return null;
  }

  /**
   * Begins to copy what a device of another process of this machine has on its shelf; {@code null}
   * if this device cannot reach it.
   *
   * @param lender a number of that process
   * @param reference from {@link Staged#reference} there; it must have been done before, unless
   *     {@link Staged#tellsWhenDone}
   * @param activations whether the tensor is of type {@link #activationType}, else of {@link
   *     #dtype}
   */
  default PickedUp pickUp(
      int lender, byte[] reference, int rows, int columns, boolean activations) {
    return null;
  }

  /**
   * Says where this device may have a file by which those of other processes of this machine learn
   * when its copies are done. Without one {@link Staged#tellsWhenDone} is false.
   */
  default void signalIn(Path folder) {}

  /** That process is gone, or is asked for nothing any more. */
  default void forget(int lender) {}

  /**
   * What is picked up.
   *
   * @param tensor what is asked of the device with it waits for the elements, not the caller
   * @param over whether the elements have been copied, and the shelf is not needed any more; for
   *     any thread, also when the tensor is closed already
   * @param abandon has nothing wait any more for elements that the other process may never have
   *     there: the tensor then has anything. For any thread; waits for nothing, and does nothing if
   *     they are there
   */
  record PickedUp(Tensor tensor, BooleanSupplier over, Runnable abandon) {}

  /**
   * Memory of the host for elements that come from another process.
   *
   * @throws UnsupportedOperationException where {@link #isHostMemory}
   */
  default Staged receive(long bytes) {
    throw inHostMemory();
  }

  /**
   * A tensor with the elements that have come. What is asked of the device with it waits for them,
   * not the caller.
   *
   * @param activations whether it is of type {@link #activationType}, else of {@link #dtype}
   * @param from of this device's {@link #receive}; closed by this
   * @throws UnsupportedOperationException where {@link #isHostMemory}
   */
  default Tensor copyIn(int rows, int columns, boolean activations, Staged from) {
    throw inHostMemory();
  }

  private UnsupportedOperationException inHostMemory() {
    return new UnsupportedOperationException(
        name() + ": tensors are in memory of the host (expected: of a device)");
  }

  /**
   * A point in this device's work: what was asked of it so far. {@code null} where nobody needs to
   * know: work is done when a call returns, or no other device of the process waits for it.
   */
  default Fence fence() {
    return null;
  }

  /** A point in the work of a device. */
  interface Fence {}

  /** Bytes of its own memory; 0 where tensors are in memory of the host. */
  default long memoryBytes() {
    return 0;
  }

  /**
   * A copy of a tensor of another device of this process. What is asked of this device with it
   * waits for it; the other device goes on. Where both are the host, the copy is done when this
   * returns.
   *
   * @param ready the point at which its device has computed the tensor; may be {@code null}
   * @param last whether the tensor is not needed any more: it is closed once it is copied
   */
  default Tensor fetch(Tensor from, Fence ready, boolean last) {
    if (!isHostMemory() || !from.device().isHostMemory()) {
      throw new UnsupportedOperationException(
          name() + ": no tensors of " + from.device().name() + " (expected: its own)");
    }
    Tensor copy = allocate(from.rows(), from.columns());
    copy.copyFrom(from.bytes());
    if (last) {
      from.close();
    }
    return copy;
  }

  /** What times this device's kernels, or {@code null} where each is over when its call returns. */
  default KernelProfiler profiler() {
    return null;
  }

  /** Bytes handed out and not yet given back. */
  long allocatedBytes();

  /** Frees all memory, the pool's and what is still handed out. */
  @Override
  void close();
}
