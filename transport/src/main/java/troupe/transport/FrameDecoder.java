package troupe.transport;

import static troupe.transport.FrameFlyweight.CHUNK_ALIGNMENT;
import static troupe.transport.FrameFlyweight.HEADER_LENGTH;
import static troupe.transport.FrameFlyweight.MIN_STRIDE;

import org.agrona.DirectBuffer;

/**
 * Says whether bytes are a frame. Trusts nothing: what passes here can be copied without looking at
 * its fields again.
 */
final class FrameDecoder {
  /** Codes of core's DType: F32 and F64. */
  private FrameDecoder() {}

  /**
   * Wraps {@code frame} around bytes that came by a channel, shared memory or UDP, and checks them.
   *
   * @return {@link Verdict#ACCEPTED}, {@link Verdict#MALFORMED} or {@link Verdict#CORRUPT}
   */
  static Verdict decode(
      FrameFlyweight frame,
      FrameMemory memory,
      Way channel,
      DirectBuffer buffer,
      int offset,
      int length) {
    if (length < HEADER_LENGTH) {
      return Verdict.MALFORMED;
    }
    frame.wrap(buffer, offset, length);
    if (frame.magic() != FrameFlyweight.MAGIC
        || frame.version() != FrameFlyweight.VERSION
        || frame.chunkLength() != length - HEADER_LENGTH) {
      return Verdict.MALFORMED;
    }
    Way way = frame.way(channel);
    int covered = FrameFlyweight.checksummedLength(way, length);
    if (frame.checksum() != memory.checksum(buffer, offset, covered)) {
      return Verdict.CORRUPT;
    }
    return isSound(frame, way) ? Verdict.ACCEPTED : Verdict.MALFORMED;
  }

  private static boolean isSound(FrameFlyweight frame, Way way) {
    return frame.flags() == FrameFlyweight.flags(way)
        && frame.phase() != null
        && frame.dtypeCode() >= 1
        && frame.dtypeCode() <= BatchHeader.MAX_DTYPE_CODE
        && frame.rows() >= 0
        && frame.columns() >= 0
        && hasRightTotal(frame)
        && (way == Way.PICK_UP ? hasNotice(frame) : hasRightChunk(frame));
  }

  private static boolean hasRightTotal(FrameFlyweight frame) {
    // At most 2^62: this product cannot overflow, that with the element size can.
    long elements = (long) frame.rows() * frame.columns();
    int elementBytes = BatchHeader.elementBytes(frame.dtypeCode());
    return elements <= Long.MAX_VALUE / elementBytes
        && elements * elementBytes == frame.totalBytes();
  }

  private static boolean hasNotice(FrameFlyweight frame) {
    return frame.stride() == 0
        && frame.chunkOffset() == 0
        && frame.chunkLength() >= Notice.MIN_LENGTH
        && frame.chunkLength() <= Notice.MAX_LENGTH;
  }

  private static boolean hasRightChunk(FrameFlyweight frame) {
    int stride = frame.stride();
    long offset = frame.chunkOffset();
    long total = frame.totalBytes();
    return stride >= MIN_STRIDE
        && stride % CHUNK_ALIGNMENT == 0
        && offset >= 0
        && offset % stride == 0
        && (offset < total || offset == 0)
        && frame.chunkLength() == Math.min(stride, total - offset);
  }
}
