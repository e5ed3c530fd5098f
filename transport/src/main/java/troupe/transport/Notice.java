package troupe.transport;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import org.agrona.DirectBuffer;
import org.agrona.MutableDirectBuffer;

/**
 * What a frame has in place of rows that stay where they are: who lends them, and where they are.
 *
 * <pre>
 *  0               8               16      20
 *  +---------------+---------------+-------+---------------
 *  |    lender     |    number     | node  | reference ...
 *  +---------------+---------------+-------+---------------
 * </pre>
 *
 * @param lender drawn at random by whoever lends to one node; names the file of {@link Returns}
 * @param number of the loan, from 1
 * @param node the lender's node
 * @param reference from {@link Payload#reference}
 */
record Notice(long lender, long number, int node, byte[] reference) {
  private static final int NUMBER_OFFSET = Long.BYTES;
  private static final int NODE_OFFSET = NUMBER_OFFSET + Long.BYTES;
  private static final int REFERENCE_OFFSET = NODE_OFFSET + Integer.BYTES;

  /** Without a reference. */
  static final int MIN_LENGTH = REFERENCE_OFFSET;

  /** Fits into any frame. */
  static final int MAX_LENGTH = 512;

  /** Checks the length. */
  Notice {
    if (REFERENCE_OFFSET + reference.length > MAX_LENGTH) {
      throw new IllegalArgumentException(
          "reference bytes: %d (expected: <= %d)"
              .formatted(reference.length, MAX_LENGTH - REFERENCE_OFFSET));
    }
  }

  int length() {
    return REFERENCE_OFFSET + reference.length;
  }

  void write(MutableDirectBuffer memory, int offset) {
    memory.putLong(offset, lender, LITTLE_ENDIAN);
    memory.putLong(offset + NUMBER_OFFSET, number, LITTLE_ENDIAN);
    memory.putInt(offset + NODE_OFFSET, node, LITTLE_ENDIAN);
    memory.putBytes(offset + REFERENCE_OFFSET, reference);
  }

  static Notice read(DirectBuffer memory, int offset, int length) {
    byte[] reference = new byte[length - REFERENCE_OFFSET];
    memory.getBytes(offset + REFERENCE_OFFSET, reference);
    return new Notice(
        memory.getLong(offset, LITTLE_ENDIAN),
        memory.getLong(offset + NUMBER_OFFSET, LITTLE_ENDIAN),
        memory.getInt(offset + NODE_OFFSET, LITTLE_ENDIAN),
        reference);
  }
}
