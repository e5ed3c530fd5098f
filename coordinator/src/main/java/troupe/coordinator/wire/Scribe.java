package troupe.coordinator.wire;

import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;
import java.util.zip.CRC32C;

/** What one thread at a time needs to write or read a message. */
final class Scribe {
  static final int CHECKSUM_BYTES = Integer.BYTES;

  private static final byte[] NOTHING = {};

  private static final int USUAL_BYTES = 4 << 10;

  /** What a large message needed is not kept. */
  private static final int KEPT_BYTES = 64 << 10;

  final Kryo kryo;
  private final CRC32C crc = new CRC32C();
  private final Output output = new Output(USUAL_BYTES, -1);
  private final Input input = new Input();

  Scribe(Kryo kryo) {
    this.kryo = kryo;
  }

  Output output() {
    return output;
  }

  Input input(byte[] bytes, int length) {
    input.setBuffer(bytes, 0, length);
    return input;
  }

  /**
   * Over the number of the type and its bytes: what arrives damaged and could still be read must
   * not change what is computed.
   */
  int checksum(int id, byte[] bytes, int length) {
    crc.reset();
    for (int shift = 0; shift < Integer.SIZE; shift += Byte.SIZE) {
      crc.update(id >>> shift);
    }
    crc.update(bytes, 0, length);
    return (int) crc.getValue();
  }

  /** Forgets the message at hand. */
  void reset() {
    kryo.reset();
    if (output.getBuffer().length > KEPT_BYTES) {
      output.setBuffer(new byte[USUAL_BYTES], -1);
    } else {
      output.reset();
    }
    input.setBuffer(NOTHING);
  }
}
