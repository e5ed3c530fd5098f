package troupe.core.tensor.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Where on the shelf of a GPU something lies, in words that another process understands.
 *
 * @param handle of the driver's, for a part of the shelf
 * @param length bytes of that part
 * @param offset in it
 */
record ShelfPlace(ByteBuffer handle, long length, long offset) {
  private static final int BYTES = Driver.SHARED_HANDLE_BYTES + 2 * Long.BYTES;

  /** Reads what {@link #bytes} wrote. */
  static ShelfPlace of(byte[] reference) {
    if (reference.length != BYTES) {
      throw new IllegalArgumentException(
          "reference bytes: %d (expected: %d)".formatted(reference.length, BYTES));
    }
    ByteBuffer read = ByteBuffer.wrap(reference).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer handle = read.slice(0, Driver.SHARED_HANDLE_BYTES);
    read.position(Driver.SHARED_HANDLE_BYTES);
    return new ShelfPlace(handle, read.getLong(), read.getLong());
  }

  byte[] bytes() {
    return ByteBuffer.allocate(BYTES)
        .order(ByteOrder.LITTLE_ENDIAN)
        .put(handle.duplicate())
        .putLong(length)
        .putLong(offset)
        .array();
  }

  /** The driver's name of that part of the shelf. */
  byte[] handleBytes() {
    byte[] bytes = new byte[handle.remaining()];
    handle.duplicate().get(bytes);
    return bytes;
  }

  /** Throws unless so many bytes can lie there. */
  void require(long bytes) {
    if (offset < 0 || offset > length || bytes > length - offset) {
      throw new IllegalArgumentException(
          "shelf: %d bytes at %d (expected: within %d)".formatted(bytes, offset, length));
    }
  }
}
