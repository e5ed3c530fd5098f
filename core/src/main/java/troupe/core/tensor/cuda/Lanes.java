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
  private final Resources resources = new Resources();
  private final long main;
  private final long[] streams = new long[LANES];
  private final long[] ends = new long[LANES];
  private final long forkEvent;
  private final Map<Integer, Integer> laneOf = new ConcurrentHashMap<>();

  /** Lanes with work that the main stream has not waited for, as bits. */
  private int open;

  /** Who is in a lane, and in which. */
  private volatile Thread inside;

  private int lane;
  private boolean enabled = true;

  Lanes(Driver driver, long main) {
    this.driver = driver;
    this.main = main;
    try {
      this.forkEvent = createEvent();
      for (int i = 0; i < LANES; i++) {
        long stream = driver.createStream();
        resources.onClose(() -> driver.destroyStream(stream));
        streams[i] = stream;
        ends[i] = createEvent();
      }
    } catch (RuntimeException e) {
      resources.closeAfter(e);
      throw e;
    }
  }

  private long createEvent() {
    long event = driver.createEvent(false);
    resources.onClose(() -> driver.destroyEvent(event));
    return event;
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
    // Every time: another thread may have used the main stream meanwhile.
    driver.record(forkEvent, main);
    driver.waitFor(streams[to], forkEvent);
    // Now and on leaving: who is sent something from inside, a transport's thread say, may look at
    // it
    // at once, and clear this.
    open |= 1 << to;
    lane = to;
    inside = Thread.currentThread();
  }

  /** Whether work goes to lanes at all: not while kernels are timed one by one. */
  synchronized void enable(boolean on) {
    joined();
    enabled = on;
  }

  /** Frees them; nothing may be under way. */
  @Override
  public void close() {
    resources.close();
  }
}
