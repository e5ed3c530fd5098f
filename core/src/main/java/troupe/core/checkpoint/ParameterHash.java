package troupe.core.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;

/**
 * One number for all parameters of a model: SHA-256 over each array in the order of the calls,
 * which the caller makes canonical. Equal hashes mean equal bits. An array counts as
 *
 * <pre>
 * name length (32 bits) | UTF-8 name | type code (32) | rank (32) | dimensions (64 each) | elements
 * </pre>
 *
 * all little-endian. For one thread.
 */
public final class ParameterHash {
  private static final int CHUNK_BYTES = 1 << 20;

  private final MessageDigest digest = Sha256.digest();
  private byte[] chunk = {};

  /** Adds one array. */
  public ParameterHash add(NamedArray array) {
    byte[] name = array.name().getBytes(StandardCharsets.UTF_8);
    long[] shape = array.shape();
    ByteBuffer head =
        ByteBuffer.allocate(3 * Integer.BYTES + name.length + shape.length * Long.BYTES)
            .order(ByteOrder.LITTLE_ENDIAN)
            .putInt(name.length)
            .put(name)
            .putInt(array.dtype().code())
            .putInt(shape.length);
    for (long dimension : shape) {
      head.putLong(dimension);
    }
    digest.update(head.flip());
    MemorySegment data = array.data();
    if (chunk.length < Math.min(CHUNK_BYTES, data.byteSize())) {
      chunk = new byte[(int) Math.min(CHUNK_BYTES, data.byteSize())];
    }
    for (long from = 0; from < data.byteSize(); from += chunk.length) {
      int count = (int) Math.min(chunk.length, data.byteSize() - from);
      MemorySegment.copy(data, ValueLayout.JAVA_BYTE, from, chunk, 0, count);
      digest.update(chunk, 0, count);
    }
    return this;
  }

  /** The hash of everything added as 64 lower-case hexadecimal digits; starts anew. */
  public String hex() {
    return Sha256.hex(digest);
  }
}
