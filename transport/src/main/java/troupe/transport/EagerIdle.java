package troupe.transport;

import org.agrona.concurrent.IdleStrategy;
import org.agrona.concurrent.NanoClock;

/**
 * Looks again at once for some time after there was work, then idles as {@code otherwise} says. For
 * threads with cores of their own whom a GPU waits for: to be woken takes some 50 us, as long as
 * some of its kernels, and in each exchange of rows two of them are waited for.
 */
final class EagerIdle implements IdleStrategy {
  private final long eagerNs;
  private final IdleStrategy otherwise;
  private final NanoClock clock;
  private long workedNs;

  /**
   * An idle strategy of one thread.
   *
   * @param eagerNs how long it stays awake after it worked
   */
  EagerIdle(long eagerNs, IdleStrategy otherwise, NanoClock clock) {
    this.eagerNs = eagerNs;
    this.otherwise = otherwise;
    this.clock = clock;
    this.workedNs = clock.nanoTime() - eagerNs;
  }

  @Override
  public void idle(int workCount) {
    if (workCount > 0) {
      workedNs = clock.nanoTime();
      otherwise.reset();
    } else if (clock.nanoTime() - workedNs < eagerNs) {
      Thread.yield();
    } else {
      otherwise.idle(workCount);
    }
  }

  @Override
  public void idle() {
    idle(0);
  }

  @Override
  public void reset() {
    workedNs = clock.nanoTime();
    otherwise.reset();
  }
}
