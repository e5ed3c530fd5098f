package troupe.transport;

import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

/**
 * Each strand of a transport works under a lock of its own. Who is about to unmap memory that all
 * of them touch takes all locks: only the first strand, whose lock no other waits for while it
 * holds its own.
 */
final class StrandLocks {
  private final ReentrantLock[] locks;

  StrandLocks(int strands) {
    locks = Stream.generate(ReentrantLock::new).limit(strands).toArray(ReentrantLock[]::new);
  }

  /** How many strands there are. */
  int count() {
    return locks.length;
  }

  ReentrantLock of(int strand) {
    return locks[strand];
  }

  /** Whether the calling thread is at work for any strand. */
  boolean isHeldByCurrentThread() {
    for (ReentrantLock lock : locks) {
      if (lock.isHeldByCurrentThread()) {
        return true;
      }
    }
    return false;
  }

  /** Runs something while no other thread works for any strand. */
  void alone(Runnable action) {
    int held = 0;
    try {
      for (; held < locks.length; held++) {
        locks[held].lock();
      }
      action.run();
    } finally {
      while (held > 0) {
        locks[--held].unlock();
      }
    }
  }
}
