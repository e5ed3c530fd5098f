package troupe.coordinator.compute;

import akka.dispatch.ExecutorServiceFactory;
import akka.dispatch.MonitorableThreadFactory;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** Threads that take messages from a {@link ComputeQueue}. */
final class EagerPool extends ThreadPoolExecutor {
  private final SideWork sideWork;

  private EagerPool(int size, SideWork sideWork, long eagerNs, ThreadFactory threads) {
    super(size, size, 0, TimeUnit.NANOSECONDS, new ComputeQueue(sideWork, eagerNs), threads);
    this.sideWork = sideWork;
  }

  /** Makes pools for Akka, with threads named after a dispatcher. */
  static ExecutorServiceFactory factory(
      String id, ThreadFactory threads, int size, SideWork sideWork, long eagerNs) {
    ThreadFactory named =
        threads instanceof MonitorableThreadFactory akka
            ? akka.withName(akka.name() + "-" + id)
            : threads;
    return new ExecutorServiceFactory() {
      @Override
      public ExecutorService createExecutorService() {
        return new EagerPool(size, sideWork, eagerNs, named);
      }
    };
  }

  @Override
  protected void afterExecute(Runnable task, Throwable failure) {
    sideWork.run();
  }
}
