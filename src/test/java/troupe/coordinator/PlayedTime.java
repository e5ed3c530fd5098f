package troupe.coordinator;

import akka.actor.AbstractScheduler;
import akka.actor.Cancellable;
import akka.event.LoggingAdapter;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.time.Duration;
import java.util.Comparator;
import java.util.PriorityQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.atomic.AtomicBoolean;
import scala.concurrent.ExecutionContext;
import scala.concurrent.duration.FiniteDuration;

/**
 * Akka's timers on a clock that the test moves. Akka's {@code ManualTime} does the same and sleeps
 * a tenth of a second each time, for those who do not know when their actors are done.
 */
public final class PlayedTime extends AbstractScheduler {
  private static final double MAX_FREQUENCY_HZ = 1e9;

  private final PriorityQueue<Timer> timers =
      new PriorityQueue<>(Comparator.comparingLong(Timer::dueNs).thenComparingLong(Timer::number));
  private long nowNs;
  private long numTimers;

  /** The constructor that Akka looks for. */
  public PlayedTime(Config config, LoggingAdapter log, ThreadFactory threads) {}

  /** What an actor system needs to have this time. */
  static Config config() {
    return ConfigFactory.parseString(
        "akka.scheduler.implementation = " + PlayedTime.class.getName());
  }

  /** In the order in which they are due; those of the same time in the order they were made. */
  private record Timer(
      long dueNs, long number, Runnable runnable, ExecutionContext executor, AtomicBoolean isOver)
      implements Cancellable {
    @Override
    public boolean cancel() {
      return isOver.compareAndSet(false, true);
    }

    @Override
    public boolean isCancelled() {
      return isOver.get();
    }
  }

  /** Runs what becomes due, that which is scheduled meanwhile included. */
  void pass(Duration duration) {
    long endNs;
    synchronized (this) {
      endNs = nowNs + duration.toNanos();
    }
    for (Timer timer = next(endNs); timer != null; timer = next(endNs)) {
      if (timer.cancel()) {
        timer.executor.execute(timer.runnable);
      }
    }
  }

  /** The next timer that is due until then, or null, and the clock stands there. */
  private synchronized Timer next(long endNs) {
    if (timers.isEmpty() || timers.peek().dueNs > endNs) {
      nowNs = endNs;
      return null;
    }
    nowNs = timers.peek().dueNs;
    return timers.poll();
  }

  @Override
  public synchronized Cancellable scheduleOnce(
      FiniteDuration delay, Runnable runnable, ExecutionContext executor) {
    long dueNs = nowNs + Math.max(0, delay.toNanos());
    Timer timer = new Timer(dueNs, numTimers++, runnable, executor, new AtomicBoolean());
    timers.add(timer);
    return timer;
  }

  /**
   * {@inheritDoc} What Akka calls instead, {@code scheduleWithFixedDelay}, needs the above only.
   */
  @Override
  @Deprecated
  public Cancellable schedule(
      FiniteDuration delay, FiniteDuration interval, Runnable runnable, ExecutionContext executor) {
    throw new UnsupportedOperationException("timers at a fixed rate (expected: fixed delay)");
  }

  @Override
  public double maxFrequency() {
    return MAX_FREQUENCY_HZ;
  }
}
