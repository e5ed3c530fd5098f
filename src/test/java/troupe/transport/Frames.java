package troupe.transport;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.agrona.concurrent.UnsafeBuffer;

/** Frames as they would lie in Aeron's buffers. */
final class Frames {
  private static final FrameMemory MEMORY = new FrameMemory();

  private Frames() {}

  /** All frames of a batch for UDP, in order, each in an array of its own. */
  static List<byte[]> of(BatchHeader header, BatchId id, int stride) {
    return of(Way.UDP, header, id, stride);
  }

  /** All frames of a batch, in order, each in an array of its own. */
  static List<byte[]> of(Way way, BatchHeader header, BatchId id, int stride) {
    MemorySegment rows = MemorySegment.ofArray(Batches.rows(header));
    List<byte[]> frames = new ArrayList<>();
    long offset = 0;
    do {
      frames.add(encode(way, header, id, stride, rows, offset));
      offset += stride;
    } while (offset < rows.byteSize());
    return frames;
  }

  /** The frame of one chunk for UDP. */
  static byte[] at(BatchHeader header, BatchId id, int stride, long offset) {
    return at(Way.UDP, header, id, stride, offset);
  }

  /** The frame of one chunk. */
  static byte[] at(Way way, BatchHeader header, BatchId id, int stride, long offset) {
    return encode(way, header, id, stride, MemorySegment.ofArray(Batches.rows(header)), offset);
  }

  private static byte[] encode(
      Way way, BatchHeader header, BatchId id, int stride, MemorySegment rows, long offset) {
    int chunkLength = FrameEncoder.chunkLength(stride, rows.byteSize(), offset);
    byte[] frame = new byte[FrameFlyweight.HEADER_LENGTH + chunkLength];
    FrameEncoder.encode(MEMORY, new UnsafeBuffer(frame), 0, way, header, id, stride, rows, offset);
    return frame;
  }

  /** The frame of a batch whose rows stay where they are. */
  static byte[] of(BatchHeader header, BatchId id, Notice notice) {
    byte[] frame = new byte[FrameFlyweight.HEADER_LENGTH + notice.length()];
    FrameEncoder.encode(MEMORY, new UnsafeBuffer(frame), 0, header, id, notice);
    return frame;
  }

  /** Makes the checksum for UDP right again after fields were changed. */
  static byte[] seal(byte[] frame) {
    return seal(Way.UDP, frame);
  }

  /** Makes the checksum right again after fields were changed. */
  static byte[] seal(Way way, byte[] frame) {
    UnsafeBuffer buffer = new UnsafeBuffer(frame);
    int covered = FrameFlyweight.checksummedLength(way, frame.length);
    FrameFlyweight.putChecksum(buffer, 0, MEMORY.checksum(buffer, 0, covered));
    return frame;
  }
}
