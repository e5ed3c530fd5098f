package troupe.core.tensor;

/**
 * Something that holds tensors and runs kernels on them. Devices are safe to use from several
 * threads at once; a tensor is not.
 */
public interface Device extends AutoCloseable {
  /**
   * The name that selects this device in a config: {@code cpu}, {@code nd4j}, {@code reference}.
   */
  String name();

  /** The element type of every tensor of this device. */
  DType dtype();

  /** The kernels of this device. */
  Kernels kernels();

  /**
   * A tensor with undefined elements. Memory comes from a pool and returns there on {@link
   * Tensor#close}, so allocation is cheap once a run is warm.
   *
   * @throws IllegalArgumentException if {@code rows < 0} or {@code columns < 1}
   */
  Tensor allocate(int rows, int columns);

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

  /** Bytes handed out and not yet given back. */
  long allocatedBytes();

  /** Frees all memory, the pool's and what is still handed out. */
  @Override
  void close();
}
