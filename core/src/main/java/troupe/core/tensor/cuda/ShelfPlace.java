package troupe.core.tensor.cuda;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Where on the shelf of a GPU something lies, in words that another process understands.
 *
 * @param handle of the driver's, for a part of the shelf
 * @param length bytes of that part
 * @param offset in it
 * @param signal says when it is there; {@code null} if it is
 */
record ShelfPlace(ByteBuffer handle, long length, long offset, Signal signal) {
  private static final int BYTES = Driver.SHARED_HANDLE_BYTES + 2 * Long.BYTES;

  /** Bytes of a file's name that a notice has room for. */
  static final int MOST_FILE_BYTES = 256;

  /**
   * One of {@link Signals}.
   *
   * @param file of these
   */
  record Signal(String file, int number) {}

  /** Reads what {@link #bytes} wrote. */
  static ShelfPlace of(byte[] reference) {
    int more = reference.length - BYTES;
    if (more != 0 && (more <= Integer.BYTES || more > Integer.BYTES + MOST_FILE_BYTES)) {
      throw new IllegalArgumentException(
          "reference bytes: %d (expected: %d, or with a signal %d to %d)"
              .formatted(
                  reference.length,
                  BYTES,
                  BYTES + Integer.BYTES + 1,
                  BYTES + Integer.BYTES + MOST_FILE_BYTES));
    }
    ByteBuffer read = ByteBuffer.wrap(reference).order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer handle = read.slice(0, Driver.SHARED_HANDLE_BYTES);
    read.position(Driver.SHARED_HANDLE_BYTES);
    return new ShelfPlace(
        handle, read.getLong(), read.getLong(), read.hasRemaining() ? signal(read) : null);
  }

  private static Signal signal(ByteBuffer read) {
    int number = read.getInt();
    return new Signal(StandardCharsets.UTF_8.decode(read).toString(), number);
  }

  byte[] bytes() {
    byte[] file = signal == null ? new byte[0] : signal.file().getBytes(StandardCharsets.UTF_8);
    ByteBuffer bytes =
        ByteBuffer.allocate(BYTES + (signal == null ? 0 : Integer.BYTES + file.length))
            .order(ByteOrder.LITTLE_ENDIAN)
            .put(handle.duplicate())
            .putLong(length)
            .putLong(offset);
    return (signal == null ? bytes : bytes.putInt(signal.number()).put(file)).array();
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
