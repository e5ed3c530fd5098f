package troupe.core.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.function.LongFunction;
import troupe.core.tensor.cuda.SlabPool.Piece;

/**
 * Memory that is lent for copies in one stream, and not anew before they are over; for any thread.
 */
final class LentMemory implements AutoCloseable {
  private final Gpu gpu;
  private final SlabPool pool;
  private final ArrayDeque<Busy> busy = new ArrayDeque<>();

  /** A piece that was given back while a copy of it was under way. */
  private record Busy(Piece piece, long over) {}

  /** None yet; see {@link SlabPool}. */
  LentMemory(Gpu gpu, long mostBytes, LongFunction<MemorySegment> more) {
    this.gpu = gpu;
    this.pool = new SlabPool(mostBytes, more);
  }

  /** Memory, or {@code null} if there is none at present. */
  synchronized Piece take(long bytes) {
    if (gpu.hangs()) {
      return null;
    }
    // In the order of the stream, but for what was given back before its turn; that waits.
    while (!busy.isEmpty() && gpu.isDone(busy.peek().over())) {
      pool.give(busy.poll().piece());
    }
    return pool.take(bytes);
  }

  /**
   * Takes a piece back.
   *
   * @param over the event until which a copy needs it; 0 for none
   */
  synchronized void give(Piece piece, long over) {
    if (over == 0) {
      pool.give(piece);
    } else {
      busy.add(new Busy(piece, over));
    }
  }

  /** Bytes that are lent, or were given back while a copy needed them. */
  synchronized long lentBytes() {
    return pool.takenBytes();
  }

  /** Lends nothing any more. */
  @Override
  public synchronized void close() {
    pool.close();
    busy.clear();
  }
}
