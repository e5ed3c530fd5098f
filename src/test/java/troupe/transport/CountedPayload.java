package troupe.transport;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.concurrent.atomic.AtomicInteger;

/** Native memory that counts how often it is released. */
final class CountedPayload implements Payload {
  private final MemorySegment bytes;
  private final AtomicInteger releases = new AtomicInteger();

  CountedPayload(long size) {
    this(Arena.ofAuto().allocate(size, 64));
  }

  CountedPayload(MemorySegment bytes) {
    this.bytes = bytes;
  }

  @Override
  public MemorySegment bytes() {
    return bytes;
  }

  @Override
  public void release() {
    releases.incrementAndGet();
  }

  int releases() {
    return releases.get();
  }
}
