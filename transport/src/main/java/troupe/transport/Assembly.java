package troupe.transport;

import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import org.agrona.DirectBuffer;

/** A batch of which some chunks have arrived. */
final class Assembly {
  private final long source;
  private final long sequence;
  private final BatchHeader header;
  private final Payload payload;
  private final MemorySegment rows;
  private final int stride;
  private final BitSet arrived = new BitSet();
  private long missingChunks;
  private long lastProgressNs;

  /** An empty assembly for the batch of {@code frame}; {@code payload} holds exactly its bytes. */
  Assembly(
      FrameFlyweight frame, BatchHeader header, Payload payload, MemorySegment rows, long nowNs) {
    this.source = frame.source();
    this.sequence = frame.sequence();
    this.header = header;
    this.payload = payload;
    this.rows = rows;
    this.stride = frame.stride();
    // A batch without rows still has the chunk that says so.
    this.missingChunks = Math.max(1, Math.ceilDiv(rows.byteSize(), (long) stride));
    this.lastProgressNs = nowNs;
  }

  /** Whether a frame names this batch. */
  boolean isOf(FrameFlyweight frame) {
    return frame.sequence() == sequence && frame.source() == source;
  }

  /** Copies the chunk of a decoded frame of this batch to its place. */
  Verdict add(
      FrameFlyweight frame, FrameMemory memory, DirectBuffer buffer, int offset, long nowNs) {
    if (frame.stride() != stride || !frame.describes(header)) {
      return Verdict.MALFORMED;
    }
    int chunk = (int) (frame.chunkOffset() / stride);
    if (arrived.get(chunk)) {
      return Verdict.DUPLICATE;
    }
    int start = offset + FrameFlyweight.HEADER_LENGTH;
    memory.get(buffer, start, rows, frame.chunkOffset(), frame.chunkLength());
    arrived.set(chunk);
    missingChunks--;
    lastProgressNs = nowNs;
    return Verdict.ACCEPTED;
  }

  boolean isComplete() {
    return missingChunks == 0;
  }

  BatchId id() {
    return new BatchId(source, sequence);
  }

  BatchHeader header() {
    return header;
  }

  Payload payload() {
    return payload;
  }

  long bytes() {
    return rows.byteSize();
  }

  /** When the last chunk arrived; duplicates are no progress. */
  long lastProgressNs() {
    return lastProgressNs;
  }
}
