package troupe.router.trace;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * What a gate saw of one micro-batch in one layer.
 *
 * <pre>
 *   int  magic      int  checksum    CRC-32C of all that follows
 *   long step       long firstToken
 *   int  tokens     int  experts     int state     int elementBytes
 *   int  ids        [tokens]
 *   double state    [state]
 *   float or double logits [tokens * experts]
 * </pre>
 *
 * All little-endian. Logits are floats where that loses nothing, as on every device that trains.
 *
 * @param firstToken how many tokens of the step come before these
 * @param ids_T the vocabulary's number of each token
 * @param state what the gate kept from earlier steps; empty for most
 * @param logits_TE as the gate saw them, after noise on its input
 */
public record TraceRecord(
    long step, long firstToken, int experts, int[] ids_T, double[] state, double[] logits_TE) {
  static final int HEADER = 40;
  private static final int MAGIC = 0x54524543;
  private static final int CHECKED_FROM = 8;

  /** Number of tokens. */
  public int tokens() {
    return ids_T.length;
  }

  /** The record as it is written. */
  ByteBuffer encode() {
    int elementBytes = areFloats(logits_TE) ? Float.BYTES : Double.BYTES;
    long bytes = bytes(tokens(), experts, state.length, elementBytes);
    ByteBuffer buffer = ByteBuffer.allocate(Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
    buffer.putInt(MAGIC).putInt(0).putLong(step).putLong(firstToken);
    buffer.putInt(tokens()).putInt(experts).putInt(state.length).putInt(elementBytes);
    for (int id : ids_T) {
      buffer.putInt(id);
    }
    for (double value : state) {
      buffer.putDouble(value);
    }
    for (double logit : logits_TE) {
      if (elementBytes == Float.BYTES) {
        buffer.putFloat((float) logit);
      } else {
        buffer.putDouble(logit);
      }
    }
    buffer.flip();
    return buffer.putInt(4, checksum(buffer));
  }

  /** The record in a buffer, or {@code null} if it is damaged. */
  static TraceRecord decode(ByteBuffer buffer) {
    if (buffer.getInt(4) != checksum(buffer)) {
      return null;
    }
    Header header = Header.of(buffer);
    buffer.position(HEADER);
    int[] ids_T = new int[header.tokens];
    for (int t = 0; t < ids_T.length; t++) {
      ids_T[t] = buffer.getInt();
    }
    double[] state = new double[header.state];
    for (int i = 0; i < state.length; i++) {
      state[i] = buffer.getDouble();
    }
    double[] logits_TE = new double[header.tokens * header.experts];
    for (int i = 0; i < logits_TE.length; i++) {
      logits_TE[i] = header.elementBytes == Float.BYTES ? buffer.getFloat() : buffer.getDouble();
    }
    return new TraceRecord(header.step, header.firstToken, header.experts, ids_T, state, logits_TE);
  }

  private static int checksum(ByteBuffer buffer) {
    CRC32C crc = new CRC32C();
    crc.update(buffer.duplicate().position(CHECKED_FROM));
    return (int) crc.getValue();
  }

  private static boolean areFloats(double[] values) {
    for (double value : values) {
      if ((float) value != value) {
        return false;
      }
    }
    return true;
  }

  private static long bytes(long tokens, long experts, long state, long elementBytes) {
    return HEADER + tokens * Integer.BYTES + state * Double.BYTES + tokens * experts * elementBytes;
  }

  /** The first bytes of a record. */
  record Header(long step, long firstToken, int tokens, int experts, int state, int elementBytes) {
    /** The header at the begin of a buffer, or {@code null} if there is none. */
    static Header of(ByteBuffer buffer) {
      if (buffer.limit() < HEADER || buffer.getInt(0) != MAGIC) {
        return null;
      }
      Header header =
          new Header(
              buffer.getLong(8),
              buffer.getLong(16),
              buffer.getInt(24),
              buffer.getInt(28),
              buffer.getInt(32),
              buffer.getInt(36));
      boolean possible =
          header.tokens >= 0
              && header.experts >= 1
              && header.state >= 0
              && (header.elementBytes == Float.BYTES || header.elementBytes == Double.BYTES)
              && header.bytes() <= Integer.MAX_VALUE;
      return possible ? header : null;
    }

    /** Of the whole record. */
    long bytes() {
      return TraceRecord.bytes(tokens, experts, state, elementBytes);
    }
  }
}
