package troupe.coordinator.compute;

import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * The messages that wait for a compute thread. A thread that finds none does {@link SideWork} until
 * one comes, one thread at a time: eagerly at first, then with pauses of an eighth of the time that
 * it has waited, so that they add little to it. A thread that drives a GPU looks without a pause
 * for much longer: the GPU waits for it, and to be woken takes as long as some of its kernels.
 */
final class ComputeQueue extends LinkedBlockingQueue<Runnable> {
  private static final long serialVersionUID = 1;

  private static final int SPINS = 20;
  private static final int YIELDS = 100;
  private static final int PAUSES = 8;
  private static final long MIN_PAUSE_NS = 10_000;
  private static final long MAX_PAUSE_NS = 500_000;

  /** Whoever waits beside the one at work looks that often whether it still is. */
  private static final long BYSTANDER_PAUSE_NS = 5_000_000;

  private final transient SideWork sideWork;
  private final long eagerNs;
  private final transient AtomicBoolean isAtWork = new AtomicBoolean();

  /**
   * No messages.
   *
   * @param eagerNs how long to look for one without a pause
   */
  ComputeQueue(SideWork sideWork, long eagerNs) {
    this.sideWork = sideWork;
    this.eagerNs = eagerNs;
  }

  @Override
  public Runnable take() throws InterruptedException {
    Runnable task = poll();
    while (task == null) {
      if (!sideWork.exists()) {
        task = spin();
        task = task == null ? super.take() : task;
      } else if (isAtWork.compareAndSet(false, true)) {
        try {
          task = workUntilTask();
        } finally {
          isAtWork.set(false);
        }
      } else {
        task = poll(BYSTANDER_PAUSE_NS, TimeUnit.NANOSECONDS);
      }
    }
    return task;
  }

  /** A message that comes soon, else {@code null}. */
  private Runnable spin() throws InterruptedException {
    long beganNs = System.nanoTime();
    while (System.nanoTime() - beganNs < eagerNs) {
      Runnable task = poll();
      if (task != null) {
        return task;
      }
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      Thread.onSpinWait();
    }
    return null;
  }

  private Runnable workUntilTask() throws InterruptedException {
    long idleSinceNs = System.nanoTime();
    int idle = 0;
    while (true) {
      if (Thread.interrupted()) {
        throw new InterruptedException();
      }
      if (sideWork.run()) {
        idle = 0;
        idleSinceNs = System.nanoTime();
      }
      Runnable task;
      if (idle < SPINS + YIELDS || System.nanoTime() - idleSinceNs < eagerNs) {
        if (idle < SPINS) {
          Thread.onSpinWait();
        } else {
          Thread.yield();
        }
        idle++;
        task = poll();
      } else {
        long idleNs = System.nanoTime() - idleSinceNs;
        long pauseNs = Math.clamp(idleNs / PAUSES, MIN_PAUSE_NS, MAX_PAUSE_NS);
        task = poll(pauseNs, TimeUnit.NANOSECONDS);
      }
      if (task != null) {
        return task;
      }
    }
  }
}
