package troupe.coordinator.run;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import troupe.coordinator.Coordinator;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.core.config.Fault;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.expert.FaultPlan;
import troupe.expert.network.ExpertState;
import troupe.router.BatchSource;
import troupe.router.RouterActor;
import troupe.router.pass.DrawsSource;
import troupe.router.trunk.RankState;

/**
 * All actors of a run in one process: a coordinator, a router for every rank, an actor for every expert. Routers and experts
 * compute on a pool of their own, as large as there are cores, so that Akka's own threads are never kept waiting.
 */
public final class LocalRun implements AutoCloseable {
  private static final int NODE = 0;
  private static final int FIRST_EPOCH = 1;
  private static final String COMPUTE_DISPATCHER = "troupe.compute-dispatcher";
  private static final Duration TERMINATION_TIMEOUT = Duration.ofSeconds(30);

  private final ActorSystem<Void> system;
  private final DataPlane dataPlane;
  private final StartedCoordinator started;

  private record StartedCoordinator(ActorRef<Coordinator.Command> ref) {}

  /**
   * What a run is made of.
   *
   * @param model the committed state to start from; the caller closes it after the run
   * @param batches where tokens come from
   * @param draws where gates get their random numbers from
   * @param tasks what to do, in order
   * @param checkpoints writes checkpoints, or refuses to
   * @param listener told what happens
   */
  public record Parts(
      Model model,
      long runId,
      BatchSource batches,
      DrawsSource draws,
      List<RunTask> tasks,
      Coordinator.Checkpoints checkpoints,
      RunListener listener) {}

  private LocalRun(Parts parts) {
    RunConfig config = parts.model().config();
    NodeReceiver receiver =
        new NodeReceiver(parts.model().device(), config, parts.model().ranks().getFirst());
    this.dataPlane = DataPlane.open(config.transport(), parts.runId(), FIRST_EPOCH, receiver);
    Guardian guardian = new Guardian(parts, receiver);
    this.system =
        ActorSystem.create(guardian.behavior(), "troupe", akkaConfig(config.cluster().threads()));
    this.started = guardian.started;
  }

  /** Starts the actors; what they do is told to the listener. */
  public static LocalRun start(Parts parts) {
    return new LocalRun(parts);
  }

  private static Config akkaConfig(int configuredThreads) {
    int threads =
        configuredThreads > 0 ? configuredThreads : Runtime.getRuntime().availableProcessors();
    return ConfigFactory.parseMap(
            Map.of(COMPUTE_DISPATCHER + ".thread-pool-executor.fixed-pool-size", threads))
        .withFallback(ConfigFactory.load());
  }

  /** Finishes the step at hand, writes a checkpoint and ends; the listener is told. */
  public void stop() {
    started.ref().tell(new Coordinator.Stop());
  }

  /** Stops all actors and waits until none computes any more. */
  @Override
  public void close() {
    system.terminate();
    try {
      system
          .getWhenTerminated()
          .toCompletableFuture()
          .get(TERMINATION_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
      throw new IllegalStateException("actors did not stop within " + TERMINATION_TIMEOUT, e);
    } finally {
      dataPlane.close();
    }
  }
}
