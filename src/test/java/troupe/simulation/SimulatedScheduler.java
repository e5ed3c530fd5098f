package troupe.simulation;

import akka.actor.AbstractScheduler;
import akka.actor.Cancellable;
import akka.event.LoggingAdapter;
import com.typesafe.config.Config;
import java.util.concurrent.ThreadFactory;
import scala.concurrent.ExecutionContext;
import scala.concurrent.duration.FiniteDuration;

/**
 * Akka's timers on the simulated clock. Akka makes it and hands it to whoever needs it, so it is
 * also how the other parts of a simulated actor system find its {@link EventLoop}.
 */
public final class SimulatedScheduler extends AbstractScheduler {
  private static final double MAX_FREQUENCY_HZ = 1e9;

  private final EventLoop loop = new EventLoop();

  /** The constructor that Akka looks for. */
  public SimulatedScheduler(Config config, LoggingAdapter log, ThreadFactory threads) {}

  EventLoop loop() {
    return loop;
  }

  @Override
  public Cancellable scheduleOnce(
      FiniteDuration delay, Runnable runnable, ExecutionContext executor) {
    EventLoop.Event event =
        loop.postTimer(Math.max(0, delay.toNanos()), () -> executor.execute(runnable));
    return new Cancellable() {
      @Override
      public boolean cancel() {
        return event.cancel();
      }

      @Override
      public boolean isCancelled() {
        return event.isCancelled();
      }
    };
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
