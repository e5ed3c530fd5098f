package troupe.transport;

import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.zip.CRC32C;
import org.agrona.DirectBuffer;

/**
 * Checksums and copies of frames in Agrona's buffers through the JDK's types: {@link CRC32C} is an
 * intrinsic on byte buffers, and copies between memory segments are checked against the bounds and
 * the lifetime of both. Used by one thread.
 */
final class FrameMemory {
  private static final byte[] ZERO_CHECKSUM = new byte[Integer.BYTES];

  private final CRC32C crc = new CRC32C();
  private Object owner;
  private ByteBuffer bytes;
  private MemorySegment segment;

  /**
   * The checksum of the first {@code length} bytes, at least the header, of the frame at {@code
   * offset}, whatever its checksum field holds.
   */
  int checksum(DirectBuffer buffer, int offset, int length) {
    int start = map(buffer) + offset;
    crc.reset();
    update(start, FrameFlyweight.CHECKSUM_OFFSET);
    crc.update(ZERO_CHECKSUM, 0, ZERO_CHECKSUM.length);
    update(start + FrameFlyweight.HEADER_LENGTH, length - FrameFlyweight.HEADER_LENGTH);
    return (int) crc.getValue();
  }

  /** Copies {@code length} bytes of rows into a buffer. */
  void put(DirectBuffer buffer, int offset, MemorySegment rows, long from, int length) {
    int start = map(buffer) + offset;
    MemorySegment.copy(rows, from, segment, start, length);
  }

  /** Copies {@code length} bytes of a buffer into rows. */
  void get(DirectBuffer buffer, int offset, MemorySegment rows, long to, int length) {
    int start = map(buffer) + offset;
    MemorySegment.copy(segment, start, rows, to, length);
  }

  private void update(int start, int length) {
    bytes.limit(start + length).position(start);
    crc.update(bytes);
  }

  /**
   * Finds the memory behind a buffer, and where in it the buffer begins. Cached: terms change every
   * few hundred frames.
   */
  private int map(DirectBuffer buffer) {
    byte[] array = buffer.byteArray();
    Object found = array != null ? array : buffer.byteBuffer();
    if (found != owner) {
      bytes = array != null ? ByteBuffer.wrap(array) : buffer.byteBuffer().duplicate().clear();
      segment = MemorySegment.ofBuffer(bytes);
      owner = found;
    }
    return buffer.wrapAdjustment();
  }
}
