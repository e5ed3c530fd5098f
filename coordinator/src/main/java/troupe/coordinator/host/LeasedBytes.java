package troupe.coordinator.host;

import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicBoolean;
import troupe.transport.Payload;

/** A part of a copy in the hands of a transport; keeps the copy from being freed until released. */
final class LeasedBytes implements Payload {
  private final ShardCopy copy;
  private final MemorySegment bytes;
  private final Runnable onRelease;
  private final AtomicBoolean released = new AtomicBoolean();

  /** Retains {@code copy}; {@code onRelease} runs once on the thread that releases. */
  LeasedBytes(ShardCopy copy, MemorySegment bytes, Runnable onRelease) {
    this.copy = copy.retain();
    this.bytes = bytes;
    this.onRelease = onRelease;
  }

  @Override
  public MemorySegment bytes() {
    return bytes;
  }

  @Override
  public void release() {
    if (released.compareAndSet(false, true)) {
      copy.release();
      onRelease.run();
    }
  }

  /** The transport did not take it: as {@link #release}, but nobody is told. */
  void withdraw() {
    if (released.compareAndSet(false, true)) {
      copy.release();
    }
  }
}
