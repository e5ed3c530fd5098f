package troupe.core.tensor.cuda;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.BooleanSupplier;
import java.util.function.LongConsumer;
import java.util.function.LongPredicate;
import troupe.core.tensor.cuda.GroupedProducts.Product;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Streams beside the main one of a GPU. What experts do is independent and comes in pieces too
 * small to fill the GPU to its last block: side by side they fill each other's gaps. A lane begins
 * after what the main stream had then, and the main stream goes on after all lanes; events say so,
 * so no thread waits. Results do not depend on it.
 *
 * <p>Products that are asked for in lanes are put off where the GPU can do those of many experts at
 * once, until something has to come after them: work in the main stream, or other work in a lane.
 * Memory is then that of the main stream, and what is freed meanwhile is freed behind them.
 */
final class Lanes implements AutoCloseable {
  private static final int LANES = 4;

  /** Of those who are in no lane. */
  private static final int NO_KEY = -1;

  private final Driver driver;
  private final Resources resources = new Resources();
  private final long main;
  private final BooleanSupplier hangs;
  private final LongPredicate isIdle;
  private final long[] streams = new long[LANES];
  private final long[] ends = new long[LANES];
  private final long forkEvent;
  private final Map<Integer, Integer> laneOf = new ConcurrentHashMap<>();
  private final List<Long> freed = new ArrayList<>();

  /** Events that what comes next in a lane has to wait for; products that are put off as well. */
  private final List<Long> awaited = new ArrayList<>();

  /** What does products of many keys at once; {@code null} where nothing does. */
  private GroupedProducts grouped;

  /** Lanes with work that the main stream has not waited for, as bits. */
  private int open;

  /** Whether a key has come for the first time since products were launched last. */
  private boolean hasNewKeys;

  /**
   * Who asks for work of a key while another thread is in a lane: in the main stream, but by the
   * same kernels, for others add in another order.
   */
  private final Set<Thread> visitors = ConcurrentHashMap.newKeySet();

  /** Who is in a lane, and of which key. Read without the lock by {@link #isInside}. */
  private volatile Thread inside;

  private int key;

  /** Whether the lane that somebody is in has waited for the main stream. */
  private boolean forked;

  /** Whether something was asked of that lane. */
  private boolean used;

  private boolean enabled = true;

  /**
   * Lanes beside a stream.
   *
   * @param hangs whether the GPU is known to hang
   * @param isIdle whether a stream is known to be empty
   */
  Lanes(Driver driver, long main, BooleanSupplier hangs, LongPredicate isIdle) {
    this.driver = driver;
    this.main = main;
    this.hangs = hangs;
    this.isIdle = isIdle;
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

  /** Has products in lanes put off. */
  synchronized void gatherFor(GroupedProducts products) {
    grouped = products;
  }

  /** The stream of what the calling thread asks for: it holds all that comes before. */
  synchronized long current() {
    return isInside() && enabled ? lane() : joined();
  }

  /**
   * Has the calling thread queue work in the stream of what it asks for.
   *
   * <p>The lock is not held meanwhile: a GPU that hangs may hold the thread for ever. So between
   * the choice of a lane and the work, another thread may have the main stream wait for the lane as
   * it is then, and count it as joined: nothing would wait for the work until the thread leaves the
   * lane, though it may tell others of it before. Whoever hears of the work hears of it after this
   * call, so it is enough to count the lane as open once more at its end.
   */
  void queue(LongConsumer work) {
    try {
      work.accept(current());
    } finally {
      queued();
    }
  }

  /** Something was queued in the stream that {@link #current} or {@link #memory} said. */
  void queued() {
    // Who is in no lane needs no lock: the thread that has it may wait for a GPU that hangs.
    if (isInside()) {
      synchronized (this) {
        reopen();
      }
    }
  }

  /** The stream in whose order memory comes and goes. */
  synchronized long memory() {
    if (grouped == null) {
      return current();
    }
    // It may have been freed in the main stream since the lane began.
    forked = false;
    return main;
  }

  /** Frees memory behind what was asked for so far. */
  synchronized void free(long address) {
    if (grouped == null) {
      driver.free(address, current());
    } else if (isInside() || !grouped.isEmpty()) {
      reopen();
      freed.add(address);
    } else {
      driver.free(address, joined());
    }
  }

  /** Has what the calling thread asks for next wait for an event. */
  synchronized void await(long event) {
    if (grouped == null || !isInside()) {
      driver.waitFor(current(), event);
      return;
    }
    if (!grouped.isEmpty() && awaited.isEmpty()) {
      // Those that wait for nothing need not begin to.
      joined();
    }
    awaited.add(event);
  }

  /** A stream, behind what its work has to wait for. */
  private long arrived(long stream) {
    awaited.forEach(event -> driver.waitFor(stream, event));
    awaited.clear();
    return stream;
  }

  /** Whether products of the calling thread are done together with others. */
  synchronized boolean gathers() {
    return grouped != null && (isInside() || isVisitor());
  }

  /** Puts a product off; that of a visitor is launched with all that is. */
  synchronized void gather(Product product) {
    if (isInside()) {
      grouped.add(key, product);
    } else {
      grouped.add(NO_KEY, product);
      joined();
    }
  }

  /** Whether products of the calling thread, who is in no lane, can be launched together. */
  synchronized boolean launchesTogether() {
    return grouped != null && !gathers();
  }

  /** Launches products that have nothing to do with each other, in the main stream. */
  synchronized void launchTogether(List<Product> products) {
    grouped.launch(products, joined());
  }

  private boolean isVisitor() {
    return visitors.contains(Thread.currentThread());
  }

  private boolean isInside() {
    return Thread.currentThread() == inside;
  }

  /** The stream of the lane, behind what was put off. */
  private long lane() {
    if (grouped != null && !grouped.isEmpty()) {
      if (grouped.isOf(key)) {
        launch(arrived(fork()));
      } else {
        joined();
      }
    }
    return arrived(fork());
  }

  private void launch(long stream) {
    hasNewKeys = false;
    grouped.launch(stream);
  }

  private long fork() {
    int lane = laneOf(key);
    if (!forked) {
      // Every time: another thread may have used the main stream meanwhile.
      driver.record(forkEvent, main);
      driver.waitFor(streams[lane], forkEvent);
      forked = true;
    }
    used = true;
    reopen();
    return streams[lane];
  }

  /**
   * Has the main stream wait for the lane that somebody is in. Now and later again: who is sent
   * something from inside, a transport's thread say, may look at it at once, and clear this.
   */
  private void reopen() {
    if (inside != null && used) {
      open |= 1 << laneOf(key);
    }
  }

  /** In turn, whichever keys there are: the experts of one of two GPUs may have even ones alone. */
  private int laneOf(int key) {
    return laneOf.computeIfAbsent(
        key,
        it -> {
          hasNewKeys = true;
          return laneOf.size() % LANES;
        });
  }

  /** The main stream, behind all lanes and what was put off. */
  synchronized long joined() {
    for (int i = 0; open != 0 && i < LANES; i++) {
      if ((open & 1 << i) != 0) {
        driver.record(ends[i], streams[i]);
        driver.waitFor(main, ends[i]);
        open &= ~(1 << i);
      }
    }
    if (!awaited.isEmpty()) {
      forked = false;
      arrived(main);
    }
    if (grouped != null && !grouped.isEmpty()) {
      forked = false;
      launch(main);
    }
    if (!freed.isEmpty()) {
      forked = false;
      freed.forEach(address -> driver.free(address, main));
      freed.clear();
    }
    return main;
  }

  /** Does work in the lane of a key. */
  void run(int key, Runnable work) {
    if (!enter(key)) {
      visit(work);
      return;
    }
    try (Exit _ = this::leave) {
      work.run();
    }
  }

  /** What is done at the end of work; if that failed, its own failure is told with that one. */
  private interface Exit extends AutoCloseable {
    @Override
    void close();
  }

  private void visit(Runnable work) {
    boolean begins = !isInside() && visitors.add(Thread.currentThread());
    try {
      work.run();
    } finally {
      if (begins) {
        visitors.remove(Thread.currentThread());
      }
    }
  }

  private synchronized void leave() {
    try {
      if (!awaited.isEmpty() && grouped.isEmpty()) {
        lane();
      }
    } finally {
      reopen();
      inside = null;
    }
    if (grouped != null && isWorthALaunch(grouped.keys())) {
      joined();
    }
  }

  /** Of all keys: no others will come. Of some: they may, but meanwhile the GPU does nothing. */
  private boolean isWorthALaunch(int keys) {
    boolean all = keys >= laneOf.size() && !hasNewKeys;
    return keys > 0 && (all ? !hangs.getAsBoolean() : isIdle.test(main));
  }

  private synchronized boolean enter(int to) {
    if (inside != null || (!enabled && grouped == null)) {
      return false;
    }
    key = to;
    laneOf(to);
    forked = false;
    used = false;
    inside = Thread.currentThread();
    return true;
  }

  /** Whether work goes beside the main stream at all: not while kernels are timed one by one. */
  synchronized void enable(boolean on) {
    joined();
    enabled = on;
    // Who is in a lane now goes on in the main stream, or comes back from it.
    forked = false;
  }

  /** Frees them; nothing may be under way. */
  @Override
  public void close() {
    resources.close();
  }
}
