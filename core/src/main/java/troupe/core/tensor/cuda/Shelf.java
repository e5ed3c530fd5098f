package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.NavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.tensor.Staged;
import troupe.core.tensor.cuda.SlabPool.Piece;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Memory of a GPU that GPUs of other processes of this machine can read: rows for them are copied
 * to it, and they copy them from it. Tensors themselves cannot be read by others, for their memory
 * is had in the order of a stream. Only this process writes the shelf; nobody waits for it.
 */
final class Shelf implements AutoCloseable {
  /** Twice what may wait for a process, or be lent to it. */
  private static final long MOST_BYTES = 512L << 20;

  private static final Logger LOG = LoggerFactory.getLogger(Shelf.class);

  private final Gpu gpu;
  private final Driver driver;
  private final Transfers transfers;
  private final EventRing events;
  private final LentMemory memory;
  private final boolean isAllowed = !Boolean.getBoolean("troupe.cuda.unshared");
  private final Resources resources = new Resources();

  /** Where parts of it begin, and the driver's names of them. */
  private final NavigableMap<Long, Part> parts = new ConcurrentSkipListMap<>();

  private record Part(byte[] handle, long length) {}

  /** A shelf without memory. */
  Shelf(Gpu gpu, Transfers transfers) {
    this.gpu = gpu;
    this.driver = gpu.driver();
    this.transfers = transfers;
    this.events = new EventRing(gpu);
    this.memory = new LentMemory(gpu, MOST_BYTES, this::grow);
    resources.onClose(events::close);
  }

  /** Not from the pool: that has the GPU wait, or what it needs would be given back. */
  private MemorySegment grow(long bytes) {
    gpu.enter();
    try {
      long address = driver.allocateNow(bytes);
      try {
        parts.put(address, new Part(driver.share(address), bytes));
      } catch (CudaException e) {
        driver.freeNow(address);
        throw e;
      }
      resources.onClose(() -> driver.freeNow(address));
      return MemorySegment.ofAddress(address).reinterpret(bytes);
    } catch (CudaException e) {
      if (e.isLost()) {
        throw gpu.explain(e);
      }
      LOG.info(
          "cuda:{}: no {} MiB (more) for GPUs of other processes to read ({}): rows for which there"
              + " are none go through memory of the host",
          gpu.index(),
          bytes >> 20,
          e.line());
      return null;
    }
  }

  /**
   * Begins to copy a tensor to the shelf, or returns {@code null} if there is no room.
   *
   * @param ready the event from which on the elements are there
   * @param last whether the tensor is to be closed once it is copied
   */
  Staged lay(CudaTensor from, long ready, boolean last) {
    long bytes = from.byteSize();
    if (!isAllowed || bytes == 0) {
      return null;
    }
    // In the stream of all that leaves, so that its last event is that of all.
    long stream = gpu.toHostStream();
    long address = from.address(gpu, stream);
    Piece piece = memory.take(bytes);
    if (piece == null) {
      return null;
    }
    // Should this fail, nobody knows whether a copy is under way: the piece is not lent again.
    gpu.enter();
    driver.waitFor(stream, ready);
    driver.copy(piece.memory().address(), address, bytes, stream);
    long over = events.record(stream);
    if (last) {
      from.closeAfter(over);
    } else {
      from.block().readUntil(over);
    }
    return new Laid(piece, over);
  }

  /** Elements on the shelf. */
  private final class Laid implements Staged {
    private final Piece piece;
    private final long over;
    private boolean isDone;
    private boolean isClosed;

    /** When somebody asked first. */
    private long askedNs;

    /** A copy for whom the shelf turned out to be out of reach. */
    private MemorySegment onHost;

    Laid(Piece piece, long over) {
      this.piece = piece;
      this.over = over;
    }

    @Override
    public boolean isDone() {
      if (!isDone) {
        askedNs = askedNs == 0 ? System.nanoTime() : askedNs;
        isDone = gpu.isDone(over, askedNs);
      }
      return isDone;
    }

    @Override
    public byte[] reference() {
      long address = piece.memory().address();
      Map.Entry<Long, Part> part = parts.floorEntry(address);
      return new ShelfPlace(
              ByteBuffer.wrap(part.getValue().handle()),
              part.getValue().length(),
              address - part.getKey())
          .bytes();
    }

    @Override
    public MemorySegment bytes() {
      if (onHost == null) {
        MemorySegment copy = Arena.ofAuto().allocate(piece.memory().byteSize(), Long.BYTES);
        transfers.send(copy, piece.memory().address(), over);
        isDone = true;
        onHost = copy;
      }
      return onHost;
    }

    @Override
    public void close() {
      if (!isClosed) {
        isClosed = true;
        memory.give(piece, isDone ? 0 : over);
      }
    }
  }

  @Override
  public void close() {
    gpu.enter();
    memory.close();
    resources.close();
  }
}
