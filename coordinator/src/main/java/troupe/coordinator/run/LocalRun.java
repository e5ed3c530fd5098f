package troupe.coordinator.run;

import troupe.coordinator.host.Model;
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
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
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
import troupe.transport.Transport;

/**
 * All actors of a run in one process: a coordinator, a router for every rank, an actor for every
 * expert. Routers and experts compute on a pool of their own, as large as there are cores, so that
 * Akka's own threads are never kept waiting.
 */
public final class LocalRun implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LocalRun.class);
  private static final int NODE = 0;
  private static final int FIRST_EPOCH = 1;
  private static final String COMPUTE_DISPATCHER = "troupe.compute-dispatcher";
  private static final Duration TERMINATION_TIMEOUT = Duration.ofSeconds(30);

  private final Transport transport;
  private final ActorSystem<Coordinator.Command> system;

  /**
   * What a run is made of.
   *
   * @param model the committed state to start from; the caller closes it after the run
   * @param runId stamped on every batch
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

  private LocalRun(Transport transport, ActorSystem<Coordinator.Command> system) {
    this.transport = transport;
    this.system = system;
  }

  /** Starts the actors; what they do is told to the listener. */
  public static LocalRun start(Parts parts) {
    RunConfig config = parts.model().config();
    NodeReceiver receiver =
        new NodeReceiver(parts.model().device(), config, parts.model().ranks().getFirst());
    Transport transport = DataPlane.open(config.transport(), parts.runId(), NODE, receiver);
    transport.setEpoch(FIRST_EPOCH);
    return new LocalRun(
        transport,
        ActorSystem.create(
            guardian(parts, transport, receiver),
            "troupe",
            akkaConfig(config.cluster().threads())));
  }

  private static Config akkaConfig(int configuredThreads) {
    int threads =
        configuredThreads > 0 ? configuredThreads : Runtime.getRuntime().availableProcessors();
    return ConfigFactory.parseMap(
            Map.of(COMPUTE_DISPATCHER + ".thread-pool-executor.fixed-pool-size", threads))
        .withFallback(ConfigFactory.load());
  }

  /** Starts everybody, then passes what it is told on to the coordinator. */
  private static Behavior<Coordinator.Command> guardian(
      Parts parts, Transport transport, NodeReceiver receiver) {
    return Behaviors.setup(
        context -> {
          ActorRef<Coordinator.Command> coordinator =
              context.spawn(
                  Coordinator.create(
                      new Coordinator.Settings(
                          parts.model().config(),
                          FIRST_EPOCH,
                          parts.model().committedStep(),
                          parts.tasks(),
                          parts.checkpoints(),
                          parts.listener(),
                          System::nanoTime)),
                  "coordinator");
          LocalOwners owners = spawnOwners(context, parts, transport, coordinator);
          receiver.connect(owners.routers(), owners.byId());
          coordinator.tell(new Coordinator.Start(owners));
          return Behaviors.receiveMessage(
              command -> {
                coordinator.tell(command);
                return Behaviors.same();
              });
        });
  }

  private static LocalOwners spawnOwners(
      ActorContext<Coordinator.Command> context,
      Parts parts,
      Transport transport,
      ActorRef<Coordinator.Command> coordinator) {
    RunConfig config = parts.model().config();
    DispatcherSelector compute = DispatcherSelector.fromConfig(COMPUTE_DISPATCHER);
    ExpertActor.Settings expertSettings =
        new ExpertActor.Settings(
            parts.runId(),
            FIRST_EPOCH,
            config.train().ranks(),
            config.train().microBatches(),
            transport,
            rank -> NODE,
            new FaultPlan(config.faults().expertThrows().stream().map(Fault::parse).toList()),
            context.spawn(forwarding(coordinator, Coordinator.FromExpert::new), "expert-events"));
    Map<NodeReceiver.ExpertId, ActorRef<ExpertActor.Command>> experts = new LinkedHashMap<>();
    for (ExpertState expert : parts.model().experts()) {
      experts.put(
          new NodeReceiver.ExpertId(expert.layer(), expert.expert()),
          context.spawn(
              ExpertActor.create(expertSettings, expert),
              "expert-" + expert.layer() + "-" + expert.expert(),
              compute));
    }
    RouterActor.Settings routerSettings =
        new RouterActor.Settings(
            parts.runId(),
            FIRST_EPOCH,
            Duration.ofNanos((long) (config.cluster().replyTimeoutSeconds() * 1e9)),
            transport,
            new OneNode(),
            parts.batches(),
            parts.draws(),
            context.spawn(forwarding(coordinator, Coordinator.FromRouter::new), "router-events"));
    List<ActorRef<RouterActor.Command>> routers = new ArrayList<>();
    for (RankState rank : parts.model().ranks()) {
      routers.add(
          context.spawn(
              RouterActor.create(routerSettings, rank), "router-" + rank.rank(), compute));
    }
    return new LocalOwners(List.copyOf(routers), experts, transport);
  }

  /** Wraps events in the coordinator's own protocol; the coordinator's messages are its own. */
  private static <E> Behavior<E> forwarding(
      ActorRef<Coordinator.Command> coordinator,
      java.util.function.Function<E, Coordinator.Command> wrap) {
    return Behaviors.receiveMessage(
        event -> {
          coordinator.tell(wrap.apply(event));
          return Behaviors.same();
        });
  }

  private record OneNode() implements RouterActor.Placement {
    @Override
    public int nodeOfExpert(int layer, int expert) {
      return NODE;
    }

    @Override
    public int nodeOfRank(int rank) {
      return NODE;
    }
  }

  private record LocalOwners(
      List<ActorRef<RouterActor.Command>> routers,
      Map<NodeReceiver.ExpertId, ActorRef<ExpertActor.Command>> byId,
      Transport transport)
      implements Coordinator.Owners {
    @Override
    public List<ActorRef<ExpertActor.Command>> experts() {
      return List.copyOf(byId.values());
    }

    @Override
    public ActorRef<ExpertActor.Command> expert(int layer, int expert) {
      return byId.get(new NodeReceiver.ExpertId(layer, expert));
    }

    @Override
    public void epoch(int epoch) {
      transport.setEpoch(epoch);
    }
  }

  /**
   * Says what became of a checkpoint that was begun; {@code failure} is {@code null} if it is on
   * the disk.
   */
  public void checkpointEnded(long step, String failure, String hint) {
    system.tell(new Coordinator.CheckpointEnded(step, failure, hint));
  }

  /** Finishes the step at hand, writes a checkpoint and ends; the listener is told. */
  public void stop() {
    system.tell(new Coordinator.Stop());
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
    } catch (ExecutionException | TimeoutException e) {
      throw new IllegalStateException("actors did not stop within " + TERMINATION_TIMEOUT, e);
    } finally {
      LOG.info("transport={}", transport.counters());
      transport.close();
    }
  }
}
