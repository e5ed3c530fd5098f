package troupe.core.tensor.cuda.driver;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;

/**
 * Memory that CUPTI writes records to: so much at most, used again and again. It stays until the
 * process ends, for CUPTI does not say when it wants none any more. Safe for any thread.
 */
final class ActivityBuffers {
  /** Bytes of each, some 20 000 kernels. */
  static final int BYTES = 4 << 20;

  /** CUPTI's own alignment is 8. */
  private static final int ALIGNMENT = 64;

  private final int most;
  private final Deque<Long> free = new ArrayDeque<>();
  private int made;

  /**
   * None yet.
   *
   * @param most how many there may be: each thread that launches has one of its own
   */
  ActivityBuffers(int most) {
    this.most = most;
  }

  /** The address of one; 0 if all are in use. */
  synchronized long take() {
    Long address = free.poll();
    if (address != null) {
      return address;
    }
    if (made == most) {
      return 0;
    }
    MemorySegment buffer = Arena.global().allocate(BYTES, ALIGNMENT);
    made++;
    return buffer.address();
  }

  /** Takes one back. */
  synchronized void giveBack(long address) {
    free.push(address);
  }
}
