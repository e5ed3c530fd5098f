package troupe.core.tensor;

import java.lang.foreign.MemorySegment;

/**
 * A row-major matrix on a device. A tensor belongs to one owner at a time; handing it over
 * transfers it. Its elements are undefined until something writes them.
 *
 * <p>Views ({@link #rows}, {@link #reshape}, {@link #slice}) share the memory of the tensor they
 * were taken from and are valid until that one is closed; closing a view does nothing.
 */
public interface Tensor extends AutoCloseable {
  /** The device that holds the elements. */
  Device device();

  /** Number of rows, zero allowed. */
  int rows();

  /** Number of columns, at least one. */
  int columns();

  /** Number of elements. */
  default long size() {
    return (long) rows() * columns();
  }

  /** The element type. */
  default DType dtype() {
    return device().dtype();
  }

  /** Rows {@code from} to {@code from + count} as a view. */
  Tensor rows(int from, int count);

  /** The same elements as a matrix of other dimensions; the size must be equal. */
  Tensor reshape(int rows, int columns);

  /** {@code rows * columns} elements from element {@code from} on, as a view of that shape. */
  Tensor slice(long from, int rows, int columns);

  /**
   * The elements as memory the host can read and write, native byte order. Contents are current
   * once the device has finished what was asked of it before this call.
   *
   * @throws UnsupportedOperationException where the device's memory is out of the host's reach
   */
  MemorySegment bytes();

  /**
   * Copies all elements to memory of the host, in their type and native byte order, waiting for the
   * device.
   */
  default void copyTo(MemorySegment to) {
    MemorySegment.copy(bytes(), 0, to, 0, size() * dtype().bytes());
  }

  /** Overwrites all elements with those that {@link #copyTo} would write. */
  default void copyFrom(MemorySegment from) {
    MemorySegment.copy(from, 0, bytes(), 0, size() * dtype().bytes());
  }

  /** Copies all elements to the host, waiting for the device. */
  double[] toDoubles();

  /**
   * Overwrites all elements from the host; the lengths must be equal. Rounds to the element type.
   */
  void set(double... values);

  /** Overwrites all elements from the host; the lengths must be equal. */
  void set(float[] values);

  /** The only element of a 1 x 1 tensor, waiting for the device. */
  double item();

  /** Gives the memory back to the device. A second call does nothing. */
  @Override
  void close();
}
