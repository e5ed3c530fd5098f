package troupe.core.checkpoint;

import java.lang.foreign.MemorySegment;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;
import troupe.core.tensor.DType;

/**
 * An array with a name: row-major elements in little-endian order.
 *
 * @param name any text that UTF-8 can hold, except {@code __metadata__}
 * @param dtype the element type
 * @param shape the dimensions, outermost first; none for a scalar, zero allowed
 * @param data the elements; it belongs to whoever made the array
 */
public record NamedArray(String name, DType dtype, long[] shape, MemorySegment data) {
  /**
   * Checks that name, shape and bytes fit together.
   *
   * @throws IllegalArgumentException if they do not
   */
  public NamedArray {
    Objects.requireNonNull(dtype, "dtype");
    shape = shape.clone();
    if (name.equals(SafetensorsHeader.METADATA)) {
      throw new IllegalArgumentException("name: " + name + " (expected: another, it is reserved)");
    }
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(name)) {
      throw new IllegalArgumentException(
          "name: " + name + " (expected: text without lone surrogates)");
    }
    long bytes = byteSize(dtype, shape);
    if (data.byteSize() != bytes) {
      throw new IllegalArgumentException(
          "data of "
              + name
              + ": "
              + data.byteSize()
              + " bytes (expected: "
              + bytes
              + " for "
              + dtype
              + " "
              + Arrays.toString(shape)
              + ")");
    }
  }

  /** The dimensions, outermost first. */
  @Override
  public long[] shape() {
    return shape.clone();
  }

  /**
   * Bytes of an array.
   *
   * @throws IllegalArgumentException if a dimension is negative or the product does not fit into 63
   *     bits
   */
  static long byteSize(DType dtype, long[] shape) {
    long bytes = dtype.bytes();
    boolean empty = false;
    try {
      for (long dimension : shape) {
        if (dimension < 0) {
          throw new IllegalArgumentException(
              "shape: " + Arrays.toString(shape) + " (expected: >= 0)");
        }
        empty |= dimension == 0;
        bytes = Math.multiplyExact(bytes, Math.max(dimension, 1));
      }
    } catch (ArithmeticException e) {
      throw new IllegalArgumentException(
          "shape: " + Arrays.toString(shape) + " (expected: < 2^63 bytes)");
    }
    return empty ? 0 : bytes;
  }
}
