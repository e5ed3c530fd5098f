package troupe.transport;

import java.util.concurrent.atomic.LongAdder;
import org.agrona.concurrent.IdleStrategy;
import org.agrona.concurrent.NanoClock;

/**
 * Measures how long a thread works: the time of each round that did something. Sits where every
 * round passes, in front of the strategy by which the thread idles. One instance per thread.
 */
final class BusyTime implements IdleStrategy {
  private final IdleStrategy strategy;
  private final LongAdder busyNs;
  private final NanoClock clock;
  private long roundStartNs;

  BusyTime(IdleStrategy strategy, LongAdder busyNs, NanoClock clock) {
    this.strategy = strategy;
    this.busyNs = busyNs;
    this.clock = clock;
    this.roundStartNs = clock.nanoTime();
  }

  @Override
  public void idle(int workCount) {
    long nowNs = clock.nanoTime();
    if (workCount > 0) {
      busyNs.add(nowNs - roundStartNs);
      strategy.idle(workCount);
      roundStartNs = nowNs;
    } else {
      strategy.idle(workCount);
      roundStartNs = clock.nanoTime();
    }
  }

  @Override
  public void idle() {
    strategy.idle();
  }

  @Override
  public void reset() {
    strategy.reset();
  }
}
