package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.UserException;
import troupe.core.tensor.cuda.SlabPool.Piece;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Copies in one direction between a GPU and pinned memory of the host, in a stream of their own
 * beside the work, and that memory. Nobody waits for them: events say when one is over, and no
 * memory is lent anew before.
 */
final class PinnedCopies implements AutoCloseable {
  /**
   * As much as a transport takes in at a time. What finds it used up goes through ordinary memory.
   */
  private static final long MOST_BYTES = 512L << 20;

  private static final Logger LOG = LoggerFactory.getLogger(PinnedCopies.class);

  private final Gpu gpu;
  private final Driver driver;
  private final long stream;
  private final String purpose;

  /** Of one stream: an event that was recorded anew is no earlier than it was before. */
  private final EventRing events;

  private final LentMemory memory;

  /** Whoever still has a piece when the GPU is closed gets an exception for it, and no fault. */
  private final Arena arena = Arena.ofShared();

  private final Resources resources = new Resources();

  /**
   * Copies in a stream.
   *
   * @param purpose what the memory is for, for people
   */
  PinnedCopies(Gpu gpu, long stream, String purpose) {
    this.gpu = gpu;
    this.driver = gpu.driver();
    this.stream = stream;
    this.purpose = purpose;
    this.events = new EventRing(gpu);
    this.memory = new LentMemory(gpu, MOST_BYTES, this::pin);
    resources.onClose(events::close);
  }

  private MemorySegment pin(long bytes) {
    try {
      MemorySegment pinned = gpu.memory().allocateHost(bytes, purpose);
      resources.onClose(() -> driver.freeHost(pinned));
      return pinned.reinterpret(arena, null);
    } catch (UserException e) {
      LOG.warn("{}; where there is none, rows go through ordinary memory", e.getMessage());
      return null;
    }
  }

  /** Pinned memory, or {@code null} if there is none at present. */
  Piece take(long bytes) {
    return memory.take(bytes);
  }

  /**
   * Takes a piece back.
   *
   * @param over the event until which a copy needs it; 0 for none
   */
  void give(Piece piece, long over) {
    memory.give(piece, over);
  }

  /**
   * Queues a copy from the GPU.
   *
   * @param ready the event from which on the elements are there
   * @return the event at which it is over
   */
  long toHost(Piece to, long from, long ready) {
    gpu.enter();
    driver.waitFor(stream, ready);
    driver.copyToHost(to.memory().address(), from, to.memory().byteSize(), stream);
    return events.record(stream);
  }

  /**
   * Queues a copy to memory that was allocated for this stream; of no bytes, too, for whoever uses
   * the memory or frees it has to come after the stream.
   *
   * @return the event at which it is over
   */
  long toDevice(long to, MemorySegment from) {
    gpu.enter();
    if (from.byteSize() > 0) {
      driver.copyToDevice(to, from.address(), from.byteSize(), stream);
    }
    return events.record(stream);
  }

  @Override
  public void close() {
    gpu.enter();
    memory.close();
    resources.onClose(arena::close);
    resources.close();
  }
}
