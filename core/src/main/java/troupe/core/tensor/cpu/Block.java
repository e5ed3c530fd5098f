package troupe.core.tensor.cpu;

import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.factory.Nd4j;

/** A block of ND4J's memory, outside the Java heap. */
final class Block {
  // A cache line, and a whole 512-bit vector.
  private static final long ALIGNMENT = 64;

  private final DataBuffer buffer;
  private final long address;
  private volatile boolean freed;

  private Block(DataBuffer buffer) {
    this.buffer = buffer;
    this.address = (buffer.address() + ALIGNMENT - 1) & -ALIGNMENT;
  }

  /** A block of {@code size} floats, not initialised. */
  static Block allocate(long size) {
    return new Block(Nd4j.createBuffer(DataType.FLOAT, size + ALIGNMENT / Float.BYTES, false));
  }

  void free() {
    freed = true;
    buffer.close();
  }

  /** The address of the first float. */
  long address() {
    if (freed) {
      throw new IllegalStateException("device: closed (expected: open)");
    }
    return address;
  }
}
