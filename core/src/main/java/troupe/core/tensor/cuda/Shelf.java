package troupe.core.tensor.cuda;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Map;
import java.util.NavigableMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicInteger;
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
  private static final long MOST_BYTES = 1L << 30;

  /**
   * What is lent beyond that is told of when it is there, and no sooner: hosts would go on for as
   * long as there is room, be far ahead of GPUs, and find none.
   */
  private static final long MOST_BYTES_AHEAD = MOST_BYTES / 2;

  private static final Logger LOG = LoggerFactory.getLogger(Shelf.class);

  private final Gpu gpu;
  private final Driver driver;
  private final Transfers transfers;
  private final EventRing events;
  private final LentMemory memory;
  private final boolean isAllowed = !Boolean.getBoolean("troupe.cuda.unshared");
  private final boolean maySignal = !Boolean.getBoolean("troupe.cuda.unsignalled");

  /** How others learn when a copy is done; null if this process has to see that first. */
  private volatile Signals signals;

  private final AtomicInteger signal = new AtomicInteger();
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

  /**
   * Has others learn from a file in a folder when copies are done, if this GPU can.
   *
   * @throws CudaException if the GPU is lost
   */
  void signalIn(Path folder) {
    if (!isAllowed || !maySignal) {
      return;
    }
    try {
      Signals made = Signals.create(gpu, folder);
      resources.onClose(made::close);
      // As it will be used: not all that name these calls can do them.
      int first = signal.incrementAndGet();
      made.give(gpu.toHostStream(), first);
      gpu.awaitStream(gpu.toHostStream());
      if (!made.isGiven(first)) {
        // A stream that waits for it would wait for ever.
        throw new IOException(made.file() + ": not what GPUs write (expected: shared memory)");
      }
      made.await(gpu.toHostStream(), first);
      if (made.file().toString().getBytes(StandardCharsets.UTF_8).length
          <= ShelfPlace.MOST_FILE_BYTES) {
        signals = made;
      }
    } catch (CudaException e) {
      if (e.isLost()) {
        throw gpu.explain(e);
      }
      noSignals(e.line());
    } catch (IOException e) {
      noSignals(e.toString());
    }
  }

  private void noSignals(String cause) {
    LOG.info(
        "cuda:{}: no signals for GPUs of other processes ({}): these hear of rows when they are"
            + " there",
        gpu.index(),
        cause);
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
    ShelfPlace.Signal done = signal(stream);
    long over = events.record(stream);
    if (last) {
      from.closeAfter(over);
    } else {
      from.block().readUntil(over);
    }
    return new Laid(piece, over, done);
  }

  /** Given once all that is in the stream is done; {@code null} if nobody is to wait for it. */
  private ShelfPlace.Signal signal(long stream) {
    Signals ours = signals;
    if (ours == null || memory.lentBytes() > MOST_BYTES_AHEAD) {
      return null;
    }
    int number = signal.incrementAndGet();
    ours.give(stream, number);
    return new ShelfPlace.Signal(ours.file().toString(), number);
  }

  /** Elements on the shelf. */
  private final class Laid implements Staged {
    private final Piece piece;
    private final long over;

    /** May be null. */
    private final ShelfPlace.Signal done;

    private boolean isDone;
    private boolean isClosed;

    /** When somebody asked first. */
    private long askedNs;

    /** A copy for whom the shelf turned out to be out of reach. */
    private MemorySegment onHost;

    Laid(Piece piece, long over, ShelfPlace.Signal done) {
      this.piece = piece;
      this.over = over;
      this.done = done;
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
              address - part.getKey(),
              isDone ? null : done)
          .bytes();
    }

    @Override
    public boolean tellsWhenDone() {
      return done != null;
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
