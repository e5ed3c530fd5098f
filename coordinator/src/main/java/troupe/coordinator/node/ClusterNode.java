package troupe.coordinator.node;

import akka.actor.typed.ActorSystem;
import com.typesafe.config.ConfigFactory;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.cluster.Identity;
import troupe.coordinator.cluster.Joining;
import troupe.coordinator.cluster.NodeSystem;
import troupe.coordinator.cluster.StoodStill;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.Model;
import troupe.coordinator.host.NodeReceiver;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.run.CorpusBatches;
import troupe.coordinator.run.DataPlane;
import troupe.coordinator.run.ModelDevice;
import troupe.coordinator.run.RunFolder;
import troupe.coordinator.run.TrainingSession;
import troupe.coordinator.timeline.NodeTimeline;
import troupe.coordinator.wire.WireTypes;
import troupe.core.UserException;
import troupe.core.config.Fault;
import troupe.core.config.RunConfig;
import troupe.core.data.Corpus;
import troupe.core.data.TokenCounts;
import troupe.core.data.Tokenizer;
import troupe.core.tensor.DeviceGroup;
import troupe.expert.FaultPlan;
import troupe.router.BatchSource;
import troupe.router.gate.CounterDraws;
import troupe.transport.NodeTransport;
import troupe.transport.TransportCounters;

/** A process that takes part in a run on many nodes, from joining to leaving. */
public final class ClusterNode {
  private static final Logger LOG = LoggerFactory.getLogger(ClusterNode.class);

  /** Long enough for the others to hear that this node leaves. */
  private static final Duration LEAVE_TIMEOUT = Duration.ofSeconds(15);

  private final RunConfig config;
  private final TrainingSession.Observer observer;
  private final CompletableFuture<NodeEnd> end = new CompletableFuture<>();
  private final CompletableFuture<ActorSystem<NodeGuardian.Command>> joined =
      new CompletableFuture<>();

  /** A node of the run of {@code config}; what a user should see is told to the observer. */
  public ClusterNode(RunConfig config, TrainingSession.Observer observer) {
    this.config = config;
    this.observer = observer;
  }

  /**
   * Hands over what lives here and ends; the run goes on elsewhere, or ends with a checkpoint if
   * all nodes are asked to.
   */
  public void leave() {
    joined.thenAccept(system -> system.tell(new NodeGuardian.LeaveRun()));
    if (!joined.isDone()) {
      end.complete(new NodeEnd.Left());
    }
  }

  /**
   * Takes part to the end.
   *
   * @throws UserException if it cannot join, or text or machine are not as they have to be
   */
  public NodeEnd run() {
    Tokenizer tokenizer = TrainingSession.tokenizer(config);
    try (Corpus corpus = Corpus.open(config.data(), tokenizer, config.model().seq());
        DeviceGroup devices = ModelDevice.open(config);
        Model model = Model.empty(devices, config, TokenCounts.of(corpus.training()));
        NodeTimeline timeline = NodeTimeline.open(config, devices)) {
      observer.opened(corpus);
      BatchSource batches = new CorpusBatches(config, corpus);
      CompletableFuture<Joining.Result> result = new CompletableFuture<>();
      ActorSystem<NodeGuardian.Command> system =
          NodeSystem.start(
              config.cluster(),
              ComputeThreads.configure(config.cluster().threads(), devices, ConfigFactory.load()),
              NodeGuardian.create(
                  Identity.of(config, wireVersion()), config, observer, result::complete, end));
      try {
        return switch (result.join()) {
          case Joining.Failed failed -> throw failed.exception();
          case Joining.Joined in ->
              takePart(
                  system,
                  in,
                  timeline == null ? batches : timeline.watching(batches),
                  model,
                  tokenizer);
        };
      } finally {
        leaveCluster(system);
      }
    }
  }

  private NodeEnd takePart(
      ActorSystem<NodeGuardian.Command> system,
      Joining.Joined in,
      BatchSource batches,
      Model model,
      Tokenizer tokenizer) {
    RunFolder folder = in.formed() ? RunFolder.enter(config) : RunFolder.joined(config);
    DeviceGroup devices = model.devices();
    NodeReceiver receiver = new NodeReceiver(devices.first(), config);
    int node = 1 + new SecureRandom().nextInt(Integer.MAX_VALUE - 1);
    try (NodeTransport transport = DataPlane.openNode(config, devices, in.runId(), node, receiver);
        StoodStill _ =
            StoodStill.watch(
                pause -> {
                  system.tell(new NodeGuardian.ToHost(new Host.StoodStill()));
                })) {
      if (DataPlane.isHelped(config, devices)) {
        ComputeThreads.besideComputing(system, transport::progress);
      }
      CheckpointPost post = new CheckpointPost();
      Host.Settings host =
          new Host.Settings(
              info(system, node, transport, devices),
              in.runId(),
              model,
              receiver,
              new TransportLinks(transport),
              batches,
              (step, layer, first) -> new CounterDraws(config.seed(), step, layer, first),
              new FaultPlan(config.faults().expertThrows().stream().map(Fault::parse).toList()),
              folder.checkpoints(),
              post,
              System::nanoTime,
              new NodeGuardian.HostEnd(end));
      long startNs = System.nanoTime();
      system.tell(new NodeGuardian.TakePart(host, folder, post, tokenizer));
      joined.complete(system);
      system.getWhenTerminated().thenRun(() -> end.complete(expelled(system)));
      NodeEnd ended = end.join();
      tellTransport(transport.counters(), System.nanoTime() - startNs);
      return ended;
    }
  }

  private static NodeEnd expelled(ActorSystem<?> system) {
    return new NodeEnd.Expelled(
        NodeSystem.misfortune(system).orElse("the actor system ended by itself"));
  }

  private NodeInfo info(
      ActorSystem<?> system, int node, NodeTransport transport, DeviceGroup devices) {
    String address = NodeSystem.address(system);
    String name = config.cluster().name();
    return new NodeInfo(
        node,
        name.isEmpty() ? address : name,
        address,
        ProcessHandle.current().pid(),
        transport.local().channel(),
        transport.local().machine(),
        transport.local().directory(),
        devices.first().name(),
        memoryBytes(devices),
        ComputeThreads.count(config.cluster().threads(), devices));
  }

  /** Of each device. */
  private static List<Long> memoryBytes(DeviceGroup devices) {
    return devices.first().isHostMemory()
        ? Collections.nCopies(devices.size(), MachineMemory.bytes() / devices.size())
        : devices.memoryBytes();
  }

  private void tellTransport(TransportCounters counters, long elapsedNs) {
    LOG.info("transport={}", counters);
    observer.notice(TransportShare.of(counters, elapsedNs).text());
  }

  private static int wireVersion() {
    return Integer.parseUnsignedInt(WireTypes.fingerprint(), 16);
  }

  private static void leaveCluster(ActorSystem<?> system) {
    if (!system.getWhenTerminated().toCompletableFuture().isDone()) {
      NodeSystem.leave(system);
    }
    try {
      system
          .getWhenTerminated()
          .toCompletableFuture()
          .get(LEAVE_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      LOG.warn("the others did not hear within {} that this node leaves", LEAVE_TIMEOUT);
      system.terminate();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (java.util.concurrent.ExecutionException e) {
      LOG.error("actor system", e);
    }
  }
}
