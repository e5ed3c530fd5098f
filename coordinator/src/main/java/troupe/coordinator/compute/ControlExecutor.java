package troupe.coordinator.compute;

import akka.dispatch.DispatcherPrerequisites;
import akka.dispatch.ExecutorServiceConfigurator;
import akka.dispatch.ExecutorServiceFactory;
import com.typesafe.config.Config;
import java.util.concurrent.ThreadFactory;

/**
 * Akka's executor of an actor that steps pass through, the coordinator's and a host's: one thread,
 * which looks for its next message without a pause where GPUs wait for it. To be woken takes some
 * 50 us, and between the norm of a gradient and the update it has to be four times.
 */
public final class ControlExecutor extends ExecutorServiceConfigurator {
  private final long eagerNs;

  /** Called by Akka, which finds this class by its name in application.conf. */
  public ControlExecutor(Config config, DispatcherPrerequisites prerequisites) {
    super(config, prerequisites);
    this.eagerNs = config.getDuration("eager").toNanos();
  }

  @Override
  public ExecutorServiceFactory createExecutorServiceFactory(String id, ThreadFactory threads) {
    return EagerPool.factory(id, threads, 1, new SideWork(), eagerNs);
  }
}
