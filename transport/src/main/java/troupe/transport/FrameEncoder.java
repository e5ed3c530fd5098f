package troupe.transport;

import java.lang.foreign.MemorySegment;
import org.agrona.MutableDirectBuffer;

/** Writes frames, the counterpart of {@link FrameDecoder}. */
final class FrameEncoder {
  private FrameEncoder() {}

  /** Bytes of the chunk that begins at {@code chunkOffset} of {@code totalBytes}. */
  static int chunkLength(int stride, long totalBytes, long chunkOffset) {
    return (int) Math.min(stride, totalBytes - chunkOffset);
  }

  /** Writes the frame of a batch whose rows stay where they are; returns its length. */
  static int encode(
      FrameMemory memory,
      MutableDirectBuffer buffer,
      int offset,
      BatchHeader header,
      BatchId id,
      Notice notice) {
    int length = FrameFlyweight.HEADER_LENGTH + notice.length();
    FrameFlyweight.putBatch(buffer, offset, Way.PICK_UP, header, id, 0);
    FrameFlyweight.putChunk(buffer, offset, 0, notice.length());
    notice.write(buffer, offset + FrameFlyweight.HEADER_LENGTH);
    FrameFlyweight.putChecksum(buffer, offset, memory.checksum(buffer, offset, length));
    return length;
  }

  /**
   * Writes the frame, for one way, with the chunk of {@code rows} that begins at {@code
   * chunkOffset}; copies the rows once.
   *
   * @return bytes written
   */
  static int encode(
      FrameMemory memory,
      MutableDirectBuffer buffer,
      int offset,
      Way way,
      BatchHeader header,
      BatchId id,
      int stride,
      MemorySegment rows,
      long chunkOffset) {
    int chunkLength = chunkLength(stride, header.payloadBytes(), chunkOffset);
    int length = FrameFlyweight.HEADER_LENGTH + chunkLength;
    FrameFlyweight.putBatch(buffer, offset, way, header, id, stride);
    FrameFlyweight.putChunk(buffer, offset, chunkOffset, chunkLength);
    memory.put(buffer, offset + FrameFlyweight.HEADER_LENGTH, rows, chunkOffset, chunkLength);
    int covered = FrameFlyweight.checksummedLength(way, length);
    FrameFlyweight.putChecksum(buffer, offset, memory.checksum(buffer, offset, covered));
    return length;
  }
}
