package troupe.transport;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import troupe.Eventually;

/** Batches whose rows follow from their header. */
final class Batches {
  static final long RUN_ID = 0x5eedL;

  private Batches() {}

  static BatchHeader header(long step, int rows, int columns) {
    return header(RUN_ID, 1, step, rows, columns);
  }

  static BatchHeader header(long runId, int epoch, long step, int rows, int columns) {
    return new BatchHeader(runId, epoch, step, 3, 1, 0, 5, Phase.FORWARD, 1, rows, columns);
  }

  static BatchHeader header(Phase phase, long step, int rows, int columns) {
    return new BatchHeader(RUN_ID, 1, step, 3, 1, 0, 5, phase, 1, rows, columns);
  }

  static CountedPayload payload(BatchHeader header) {
    CountedPayload payload = new CountedPayload(header.payloadBytes());
    payload.bytes().copyFrom(MemorySegment.ofArray(rows(header)));
    return payload;
  }

  /** The rows that belong to this header. */
  static byte[] rows(BatchHeader header) {
    byte[] rows = new byte[Math.toIntExact(header.payloadBytes())];
    fill(MemorySegment.ofArray(rows), header.step());
    return rows;
  }

  /** Offers until the batch is taken over; the receiver must be able to make room. */
  static void send(Transport transport, int node, BatchHeader header, Payload payload) {
    Eventually.await(
        "offer of " + header,
        () ->
            switch (transport.offer(node, header, payload)) {
              case ACCEPTED -> true;
              case BACK_PRESSURED, NOT_CONNECTED -> false;
              case CLOSED -> throw new AssertionError("closed");
            });
  }

  private static void fill(MemorySegment bytes, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    long at = 0;
    for (; at + Long.BYTES <= bytes.byteSize(); at += Long.BYTES) {
      bytes.set(ValueLayout.JAVA_LONG_UNALIGNED, at, random.nextLong());
    }
    for (; at < bytes.byteSize(); at++) {
      bytes.set(ValueLayout.JAVA_BYTE, at, (byte) random.nextInt());
    }
  }
}
