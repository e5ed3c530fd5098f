package troupe.coordinator.host;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The bytes of a shard as it is after a step, in host memory. Counted: whoever reads it on another
 * thread {@linkplain #retain retains} it and {@linkplain #release releases} it when done, and the
 * last release gives the memory back. Written by one thread before it is shown to others, then
 * never again. Safe to use from several threads.
 */
public final class ShardCopy {
  private final ShardId shard;
  private final long step;
  private final MemorySegment bytes;
  private final Runnable free;
  private final AtomicInteger references = new AtomicInteger(1);

  /** A copy with one reference, its maker's. */
  ShardCopy(ShardId shard, long step, MemorySegment bytes, Runnable free) {
    this.shard = shard;
    this.step = step;
    this.bytes = bytes;
    this.free = free;
  }

  /** What it is a copy of. */
  public ShardId shard() {
    return shard;
  }

  /** The step that it is the result of. */
  public long step() {
    return step;
  }

  /** All elements; valid until the caller's reference is released. */
  public MemorySegment bytes() {
    return bytes;
  }

  /**
   * One reference more.
   *
   * @throws IllegalStateException if it has none left
   */
  public ShardCopy retain() {
    if (references.getAndUpdate(count -> count <= 0 ? count : count + 1) <= 0) {
      throw new IllegalStateException(this + ": freed (expected: held)");
    }
    return this;
  }

  /** One reference less. */
  public void release() {
    int left = references.decrementAndGet();
    if (left < 0) {
      throw new IllegalStateException(this + ": released more often than retained");
    }
    if (left == 0) {
      free.run();
    }
  }

  @Override
  public String toString() {
    return shard + " at step " + step;
  }
}
