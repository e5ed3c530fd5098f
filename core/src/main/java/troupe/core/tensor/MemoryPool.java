package troupe.core.tensor;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.LongFunction;

/**
 * Blocks of memory by size class, given back instead of freed, since native allocation costs
 * milliseconds where a training step is made of thousands of tensors. Safe to use from several
 * threads.
 *
 * @param <M> a block of memory
 */
public final class MemoryPool<M> implements AutoCloseable {
  private static final long SMALLEST = 64;

  private final LongFunction<M> allocate;
  private final Consumer<M> free;
  private final Map<Long, ArrayDeque<M>> idle = new HashMap<>();
  private final List<M> all = new ArrayList<>();
  private boolean closed;

  /**
   * An empty pool.
   *
   * @param allocate makes a block of so many elements
   * @param free frees a block for good
   */
  public MemoryPool(LongFunction<M> allocate, Consumer<M> free) {
    this.allocate = allocate;
    this.free = free;
  }

  /**
   * A block of at least {@code size} elements.
   *
   * @throws IllegalStateException once closed
   */
  public M take(long size) {
    long sizeClass = sizeClass(size);
    synchronized (this) {
      requireOpen();
      ArrayDeque<M> blocks = idle.get(sizeClass);
      if (blocks != null && !blocks.isEmpty()) {
        return blocks.pop();
      }
    }
    // Outside the lock: the first touch of a large block takes the system a while.
    M block = allocate.apply(sizeClass);
    synchronized (this) {
      if (closed) {
        free.accept(block);
      }
      requireOpen();
      all.add(block);
    }
    return block;
  }

  /** Gives back a block that was taken for {@code size} elements. Does nothing once closed. */
  public synchronized void give(M block, long size) {
    if (!closed) {
      idle.computeIfAbsent(sizeClass(size), key -> new ArrayDeque<>()).push(block);
    }
  }

  /** Blocks that the pool has ever allocated. */
  public synchronized int blocks() {
    return all.size();
  }

  /** Frees every block, handed out or not. */
  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      all.forEach(free);
      all.clear();
      idle.clear();
    }
  }

  /** Rounds up to one of four sizes an octave: at most a quarter is wasted. */
  static long sizeClass(long size) {
    if (size <= SMALLEST) {
      return SMALLEST;
    }
    long step = Long.highestOneBit(size - 1) / 4;
    return (size + step - 1) / step * step;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("device: closed (expected: open)");
    }
  }
}
