package troupe.simulation;

import akka.actor.ActorRef;
import akka.dispatch.DispatcherPrerequisites;
import akka.dispatch.ExecutorServiceConfigurator;
import akka.dispatch.ExecutorServiceFactory;
import akka.dispatch.Mailbox;
import com.typesafe.config.Config;
import java.util.List;
import java.util.concurrent.AbstractExecutorService;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.TimeUnit;

/** Makes Akka's dispatchers queue on the {@link EventLoop} what they would run on threads. */
public final class SimulatedExecutor extends ExecutorServiceConfigurator {
  private final EventLoop loop;

  /** The constructor that Akka looks for. */
  public SimulatedExecutor(Config config, DispatcherPrerequisites prerequisites) {
    super(config, prerequisites);
    loop = ((SimulatedScheduler) prerequisites.scheduler()).loop();
  }

  @Override
  public ExecutorServiceFactory createExecutorServiceFactory(String id, ThreadFactory threads) {
    return () -> new Queueing(loop);
  }

  private static final class Queueing extends AbstractExecutorService {
    private final EventLoop loop;
    private boolean shutdown;

    Queueing(EventLoop loop) {
      this.loop = loop;
    }

    @Override
    public void execute(Runnable runnable) {
      ActorRef actor = runnable instanceof Mailbox mailbox ? mailbox.actor().self() : null;
      loop.postTurn(
          actor == null ? EventLoop.NOBODY : NodePath.nodeOf(actor.path()), actor, runnable);
    }

    @Override
    public void shutdown() {
      shutdown = true;
    }

    @Override
    public List<Runnable> shutdownNow() {
      shutdown = true;
      return List.of();
    }

    @Override
    public boolean isShutdown() {
      return shutdown;
    }

    @Override
    public boolean isTerminated() {
      return shutdown;
    }

    @Override
    public boolean awaitTermination(long timeout, TimeUnit unit) {
      return shutdown;
    }
  }
}
