package troupe.coordinator.run;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.Behaviors;
import com.typesafe.config.ConfigFactory;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.CheckpointCollector;
import troupe.coordinator.Coordinator;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.CheckpointSink;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.Links;
import troupe.coordinator.host.Model;
import troupe.coordinator.host.NodeReceiver;
import troupe.coordinator.placement.NodeInfo;
import troupe.core.config.Fault;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DeviceGroup;
import troupe.expert.FaultPlan;
import troupe.router.BatchSource;
import troupe.router.pass.DrawsSource;
import troupe.transport.InProcessTransport;
import troupe.transport.Transport;

/**
 * All actors of a run in one process: a coordinator, a router for every rank, an actor for every
 * expert. Routers and experts compute on a pool of their own, as large as there are cores, so that
 * Akka's own threads are never kept waiting.
 */
public final class LocalRun implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(LocalRun.class);
  private static final int NODE = 0;
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
   * @param disk the folder of checkpoints to fall back on, or {@code null}
   * @param checkpoints writes checkpoints, or refuses to
   * @param sink takes the shards of checkpoints
   * @param listener told what happens
   */
  public record Parts(
      Model model,
      long runId,
      BatchSource batches,
      DrawsSource draws,
      List<RunTask> tasks,
      Path disk,
      CheckpointCollector checkpoints,
      CheckpointSink sink,
      RunListener listener) {
    /** Parts of a run that keeps nothing. */
    public static Parts withoutDisk(
        Model model,
        long runId,
        BatchSource batches,
        DrawsSource draws,
        List<RunTask> tasks,
        RunListener listener) {
      return new Parts(
          model,
          runId,
          batches,
          draws,
          tasks,
          null,
          CheckpointCollector.NONE,
          (epoch, copy) -> copy.release(),
          listener);
    }
  }

  private LocalRun(Transport transport, ActorSystem<Coordinator.Command> system) {
    this.transport = transport;
    this.system = system;
  }

  /** Starts the actors; what they do is told to the listener. */
  public static LocalRun start(Parts parts) {
    RunConfig config = parts.model().config();
    NodeReceiver receiver = new NodeReceiver(parts.model().devices().first(), config);
    Transport transport =
        DataPlane.open(config, parts.model().devices(), parts.runId(), NODE, receiver);
    ActorSystem<Coordinator.Command> system =
        ActorSystem.create(
            guardian(parts, transport, receiver),
            "troupe",
            ComputeThreads.configure(
                config.cluster().threads(), parts.model().devices(), ConfigFactory.load()));
    // A hand-off leaves nothing on its way.
    boolean isHandOff = transport instanceof InProcessTransport;
    if (!isHandOff && DataPlane.isHelped(config, parts.model().devices())) {
      ComputeThreads.besideComputing(system, transport::progress);
    }
    return new LocalRun(transport, system);
  }

  /** Starts everybody, then passes what it is told on to the coordinator. */
  private static Behavior<Coordinator.Command> guardian(
      Parts parts, Transport transport, NodeReceiver receiver) {
    return Behaviors.setup(
        context -> {
          RunConfig config = parts.model().config();
          ActorRef<Coordinator.Command> coordinator =
              context.spawn(
                  Coordinator.create(
                      new Coordinator.Settings(
                          config,
                          NODE,
                          1,
                          parts.tasks(),
                          parts.checkpoints(),
                          parts.listener(),
                          host -> {},
                          System::nanoTime)),
                  "coordinator",
                  Coordinator.dispatcher());
          ActorRef<Host.Command> host =
              context.spawn(
                  Host.create(
                      new Host.Settings(
                          info(config, parts.model().devices()),
                          parts.runId(),
                          parts.model(),
                          receiver,
                          new OneNode(transport),
                          parts.batches(),
                          parts.draws(),
                          new FaultPlan(
                              config.faults().expertThrows().stream().map(Fault::parse).toList()),
                          parts.disk(),
                          parts.sink(),
                          System::nanoTime,
                          new Alone())),
                  "host",
                  Host.dispatcher());
          coordinator.tell(new Coordinator.HostsChanged(Set.of(host)));
          return Behaviors.receiveMessage(
              command -> {
                coordinator.tell(command);
                return Behaviors.same();
              });
        });
  }

  private static NodeInfo info(RunConfig config, DeviceGroup devices) {
    return new NodeInfo(
        NODE,
        "local",
        "",
        ProcessHandle.current().pid(),
        "",
        "",
        "",
        devices.first().name(),
        devices.memoryBytes(),
        ComputeThreads.count(config.cluster().threads(), devices));
  }

  /** Nobody else has to be reached. */
  private record OneNode(Transport transport) implements Links {
    @Override
    public void connect(List<NodeInfo> nodes) {}

    @Override
    public boolean isConnected(int node) {
      return true;
    }
  }

  /** The listener hears of the end, and {@link #close} ends the process's part. */
  private record Alone() implements Host.Node {
    @Override
    public void released() {}

    @Override
    public void finished(Outcome outcome) {}
  }

  /** Says what became of a checkpoint that was begun. */
  public void checkpointEnded(Coordinator.CheckpointEnded ended) {
    system.tell(ended);
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
