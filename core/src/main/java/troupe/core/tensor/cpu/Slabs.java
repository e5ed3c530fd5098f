package troupe.core.tensor.cpu;

import java.util.ArrayList;
import java.util.List;
import org.nd4j.linalg.api.buffer.DataBuffer;
import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.factory.Nd4j;

/**
 * ND4J's memory in large slabs on huge pages, cut into blocks. Weights and activations are walked
 * through from end to end: on pages of 4 KB a matrix of 1 MB alone needs 256 entries of the address
 * cache.
 */
final class Slabs implements AutoCloseable {
  private static final long HUGE_PAGE = 2L << 20;
  private static final long SLAB = 32 * HUGE_PAGE;

  // A cache line, and a whole 512-bit vector.
  private static final long ALIGNMENT = 64;

  private final List<DataBuffer> buffers = new ArrayList<>();
  private long next;
  private long end;

  /** A block of {@code size} floats, not initialised. */
  synchronized Block allocate(long size) {
    long bytes = (Lanes.bytes(size) + ALIGNMENT - 1) & -ALIGNMENT;
    if (bytes > SLAB / 2) {
      return new Block(slab(bytes));
    }
    if (end - next < bytes) {
      next = slab(SLAB);
      end = next + SLAB;
    }
    Block block = new Block(next);
    next += bytes;
    return block;
  }

  /** The address of a new slab, at the start of a huge page. */
  private long slab(long bytes) {
    long whole = (bytes + HUGE_PAGE - 1) & -HUGE_PAGE;
    DataBuffer buffer = Nd4j.createBuffer(DataType.FLOAT, (whole + HUGE_PAGE) / Float.BYTES, false);
    buffers.add(buffer);
    long address = (buffer.address() + HUGE_PAGE - 1) & -HUGE_PAGE;
    HugePages.advise(address, whole);
    return address;
  }

  /** Frees all slabs; nobody may use a block any more. */
  @Override
  public synchronized void close() {
    buffers.forEach(DataBuffer::close);
    buffers.clear();
    next = 0;
    end = 0;
  }
}
