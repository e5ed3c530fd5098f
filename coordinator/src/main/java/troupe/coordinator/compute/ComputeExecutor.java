package troupe.coordinator.compute;

import akka.dispatch.DispatcherPrerequisites;
import akka.dispatch.ExecutorServiceConfigurator;
import akka.dispatch.ExecutorServiceFactory;
import com.typesafe.config.Config;
import java.util.concurrent.ThreadFactory;

/**
 * Akka's executor of {@code troupe.compute-dispatcher}: a fixed pool whose threads do {@link
 * SideWork} after each message and while they have none. So on a machine where all cores compute,
 * batches move without another thread taking the cores away, and on one with cores to spare without
 * waking one.
 */
public final class ComputeExecutor extends ExecutorServiceConfigurator {
  private final int size;
  private final SideWork sideWork;
  private final long eagerNs;

  /** Called by Akka, which finds this class by its name in application.conf. */
  public ComputeExecutor(Config config, DispatcherPrerequisites prerequisites) {
    super(config, prerequisites);
    this.size = config.getInt("pool-size");
    this.sideWork = ComputeThreads.sideWork(prerequisites.settings());
    this.eagerNs = config.getDuration("eager").toNanos();
  }

  @Override
  public ExecutorServiceFactory createExecutorServiceFactory(String id, ThreadFactory threads) {
    return EagerPool.factory(id, threads, size, sideWork, eagerNs);
  }
}
