package troupe.core.tensor.cuda;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Streams beside the main one of a GPU. What experts do is independent and comes in pieces too
 * small to fill the GPU to its last block: side by side they fill each other's gaps. A lane begins
 * after what the main stream had then, and the main stream goes on after all lanes; events say so,
 * so no thread waits. Results do not depend on it.
 */
final class Lanes implements AutoCloseable {
  private static final int LANES = 4;

  private final Driver driver;
  private final long main;
  private final long[] streams = new long[LANES];
  private final long[] ends = new long[LANES];
  private final long[] forkOf = new long[LANES];
  private final long forkEvent;
  private final Map<Integer, Integer> laneOf = new ConcurrentHashMap<>();

  /** Lanes with work that the main stream has not waited for, as bits. */
  private int open;

  /** How often the main stream was forked, and whether it has got work since. */
  private long forks;

  private boolean mainAdvanced = true;

  /** Who is in a lane, and in which. */
  private volatile Thread inside;

  private int lane;
  private boolean enabled = true;

  Lanes(Driver driver, long main) {
    this.driver = driver;
    this.main = main;
    this.forkEvent = driver.createEvent(false);
    for (int i = 0; i < LANES; i++) {
      streams[i] = driver.createStream();
      ends[i] = driver.createEvent(false);
    }
  }

  /** The stream for what the calling thread asks for next. */
  long current() {
    return Thread.currentThread() == inside ? streams[lane] : joined();
  }

  /** The main stream, behind all lanes. */
  private synchronized long joined() {
    for (int i = 0; open != 0 && i < LANES; i++) {
      if ((open & 1 << i) != 0) {
        driver.record(ends[i], streams[i]);
        driver.waitFor(main, ends[i]);
        open &= ~(1 << i);
      }
    }
    mainAdvanced = true;
    return main;
  }

  /** Does work in the lane of a key. */
  void run(int key, Runnable work) {
    if (!enabled || inside != null) {
      work.run();
      return;
    }
    // In turn, whichever keys there are: the experts of one of two GPUs may have even numbers
    // alone.
    enter(laneOf.computeIfAbsent(key, it -> laneOf.size() % LANES));
    try {
      work.run();
    } finally {
      leave();
    }
  }

  private synchronized void leave() {
    inside = null;
    open |= 1 << lane;
  }

  private synchronized void enter(int to) {
    if (mainAdvanced) {
      driver.record(forkEvent, main);
      mainAdvanced = false;
      forks++;
    }
    if (forkOf[to] != forks) {
      driver.waitFor(streams[to], forkEvent);
      forkOf[to] = forks;
    }
    lane = to;
    inside = Thread.currentThread();
  }

  /** Whether work goes to lanes at all: not while kernels are timed one by one. */
  synchronized void enable(boolean on) {
    joined();
    enabled = on;
  }

  @Override
  public void close() {
    for (int i = 0; i < LANES; i++) {
      driver.synchronize(streams[i]);
      driver.destroyStream(streams[i]);
      driver.destroyEvent(ends[i]);
    }
    driver.destroyEvent(forkEvent);
  }
}
