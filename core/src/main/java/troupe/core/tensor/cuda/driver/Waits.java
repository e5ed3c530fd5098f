package troupe.core.tensor.cuda.driver;

import java.time.Duration;
import java.util.Locale;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import java.util.function.LongConsumer;
import java.util.function.LongSupplier;

/**
 * Waits for one GPU, each with a deadline. The driver's own waits have none, so a kernel that never
 * ends would hold its thread for ever: here the driver is asked again and again whether it is done,
 * at first without a pause, then ever more rarely, so that a wait takes at most a sixty-fourth
 * longer than what it waits for; and of a wait as long as a training step, far less: there every
 * GPU waits for who waits.
 */
public final class Waits implements AutoCloseable {
  private static final int SHARE = 64;
  private static final int SHARE_OF_LONG_WAITS = 1024;

  /** As long as it takes to ask. */
  private static final long SHORTEST_PAUSE_NS = 500;

  /** Up to this a thread spins: Linux wakes one that sleeps some 50 us late. */
  private static final long LONGEST_SPIN_NS = 50_000;

  private static final long LONGEST_PAUSE_NS = 1_000_000;

  /** How often to ask the driver whether the GPU has failed, while memory says nothing. */
  private static final long ASK_AGAIN_NS = 1_000_000;

  private final Driver driver;
  private final long mostNs;
  private final LongSupplier nanoTime;
  private final LongConsumer pauseNs;

  private final Queue<Long> events = new ConcurrentLinkedQueue<>();
  private final Queue<Long> idleEvents = new ConcurrentLinkedQueue<>();

  /** Whether the GPU waits for one of another process, which has as long itself. */
  private volatile BooleanSupplier waitsForOthers = () -> false;

  /** What was waited for in vain: others need not find out again for themselves. */
  private volatile BooleanSupplier unended;

  /** Waits that take {@code most} each and no longer. */
  public Waits(Driver driver, Duration most) {
    this(driver, most, System::nanoTime, Waits::pause);
  }

  Waits(Driver driver, Duration most, LongSupplier nanoTime, LongConsumer pauseNs) {
    this.driver = driver;
    this.mostNs = most.toNanos();
    this.nanoTime = nanoTime;
    this.pauseNs = pauseNs;
  }

  private static void pause(long ns) {
    if (ns > LONGEST_SPIN_NS) {
      LockSupport.parkNanos(ns);
      return;
    }
    long until = System.nanoTime() + ns;
    while (System.nanoTime() < until) {
      Thread.onSpinWait();
    }
  }

  /**
   * Has waits take twice as long while the GPU itself waits for another process: if that one's GPU
   * hangs it finds out first, and this one is told to go on without it.
   */
  public void bePatientWhile(BooleanSupplier waitsFor) {
    waitsForOthers = waitsFor;
  }

  /**
   * Whether something was waited for in vain and has not ended since: any call of the driver's but
   * this question may wait, and for ever.
   */
  public boolean gaveUp() {
    BooleanSupplier before = unended;
    if (before != null && before.getAsBoolean()) {
      unended = null;
    }
    return unended != null;
  }

  /**
   * Waits for everything before an event. One that was never recorded counts as done.
   *
   * @throws CudaException if that fails, or does not end in time ({@link CudaException#TIMED_OUT})
   */
  public void forEvent(long event) {
    until(() -> driver.isDone(event));
  }

  /**
   * Waits for what is in a stream now; others may go on to fill it.
   *
   * @throws CudaException as {@link #forEvent}
   */
  public void forStream(long stream) {
    Long idle = idleEvents.poll();
    long event = idle == null ? createEvent() : idle;
    driver.record(event, stream);
    forEvent(event);
    idleEvents.add(event);
  }

  /**
   * Waits for memory of the host to say that the GPU has written it. To look there takes nothing of
   * the driver, so it is done more often than by {@link #forEvent}.
   *
   * @param stream any stream of the GPU, to find out that it has failed
   * @throws CudaException as {@link #forEvent}
   */
  public void forMemory(BooleanSupplier written, long stream) {
    long beginNs = nanoTime.getAsLong();
    long askedNs = 0;
    long waitedNs = 0;
    while (!isOver(written, waitedNs)) {
      if (waitedNs - askedNs > ASK_AGAIN_NS) {
        driver.isIdle(stream);
        askedNs = waitedNs;
      }
      pauseNs.accept(
          Math.clamp(waitedNs / SHARE_OF_LONG_WAITS, SHORTEST_PAUSE_NS, LONGEST_PAUSE_NS));
      waitedNs = nanoTime.getAsLong() - beginNs;
    }
  }

  private long createEvent() {
    long event = driver.createEvent(false);
    events.add(event);
    return event;
  }

  /** Whether a stream is empty now; the driver is not asked while something hangs. */
  public boolean isIdle(long stream) {
    return !gaveUp() && driver.isIdle(stream);
  }

  /**
   * Whether everything before an event is done, for who asks again instead of waiting.
   *
   * @param askedNs when that was asked first, by {@link System#nanoTime}
   * @throws CudaException as {@link #forEvent}, in as much time from then on
   */
  public boolean isDone(long event, long askedNs) {
    return isOver(() -> driver.isDone(event), nanoTime.getAsLong() - askedNs);
  }

  private void until(BooleanSupplier done) {
    long beginNs = nanoTime.getAsLong();
    long waitedNs = 0;
    while (!isOver(done, waitedNs)) {
      pauseNs.accept(pauseAfter(waitedNs));
      waitedNs = nanoTime.getAsLong() - beginNs;
    }
  }

  /**
   * @param waitedNs measured before the question: a process that was stopped between the two has
   *     not waited in vain
   */
  private boolean isOver(BooleanSupplier done, long waitedNs) {
    if (done.getAsBoolean()) {
      return true;
    }
    boolean hangs = gaveUp();
    if (hangs || waitedNs >= mostNs && waitedNs >= allowedNs()) {
      if (!hangs) {
        unended = done;
      }
      throw new CudaException(
          String.format(
              Locale.ROOT, "what was queued has not ended within %.0f s", allowedNs() / 1e9),
          CudaException.TIMED_OUT);
    }
    return false;
  }

  private long allowedNs() {
    return waitsForOthers.getAsBoolean() ? 2 * mostNs : mostNs;
  }

  private static long pauseAfter(long waitedNs) {
    long spin = Math.clamp(waitedNs / SHARE, SHORTEST_PAUSE_NS, LONGEST_SPIN_NS);
    return Math.clamp(waitedNs / SHARE_OF_LONG_WAITS, spin, LONGEST_PAUSE_NS);
  }

  /** Frees what was made to wait by. */
  @Override
  public void close() {
    events.forEach(driver::destroyEvent);
    events.clear();
    idleEvents.clear();
  }
}
