package troupe.simulation;

import akka.actor.typed.ActorRef;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.Links;
import troupe.coordinator.host.Model;
import troupe.coordinator.host.NodeReceiver;
import troupe.coordinator.placement.NodeInfo;
import troupe.core.config.RunConfig;
import troupe.core.data.TokenCounts;
import troupe.core.tensor.Device;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.reference.ReferenceDevice;
import troupe.router.BatchSource;
import troupe.router.pass.DrawsSource;
import troupe.transport.Transport;

/**
 * A node that takes part in a run: its devices, its part of the model, its host. Nodes of odd
 * numbers have two devices.
 */
final class Member implements AutoCloseable {
  private static final long RUN_ID = 1;
  private static final long MEMORY_BYTES = 1L << 30;

  private final int node;
  private final DeviceGroup devices;
  private final Model model;
  private final SimulatedTransport transport;
  private final NodeReceiver receiver;
  private final SimulatedCluster cluster;
  private ActorRef<Host.Command> host;
  private boolean finished;

  /** A node that has just come, with nothing on it. */
  Member(SimulatedCluster cluster, RunConfig config) {
    this.cluster = cluster;
    this.node = cluster.join();
    this.devices =
        new DeviceGroup(Stream.<Device>generate(ReferenceDevice::new).limit(1 + node % 2).toList());
    this.model = Model.empty(devices, config, TokenCounts.UNKNOWN);
    this.receiver = new NodeReceiver(devices.first(), config);
    this.transport = cluster.transport(node, receiver);
  }

  /** Starts the host; {@code started} is called when it is there. */
  void start(
      BatchSource batches,
      DrawsSource draws,
      troupe.expert.FaultPlan faults,
      EventLoop loop,
      Runnable released,
      Runnable started) {
    cluster.on(
        node,
        context -> {
          host =
              context.spawn(
                  Host.create(
                      new Host.Settings(
                          info(),
                          RUN_ID,
                          model,
                          receiver,
                          new Wires(),
                          batches,
                          draws,
                          faults,
                          null,
                          (epoch, copy) -> copy.release(),
                          loop::nowNs,
                          new Process(released))),
                  "host");
          started.run();
        });
  }

  private NodeInfo info() {
    return new NodeInfo(
        node,
        name(),
        "",
        node,
        "",
        "machine-" + node,
        "",
        "reference",
        Collections.nCopies(devices.size(), MEMORY_BYTES),
        1);
  }

  int node() {
    return node;
  }

  String name() {
    return NodePath.nameOf(node);
  }

  Model model() {
    return model;
  }

  /** The host, or {@code null} until it has started. */
  ActorRef<Host.Command> host() {
    return host;
  }

  /** Whether the host has heard of the end, and none of its actors works any more. */
  boolean isFinished() {
    return finished;
  }

  /** Bytes of tensors that are neither parameters nor part of what was closed. */
  long closeAndCount() {
    model.close();
    return devices.devices().stream().mapToLong(Device::allocatedBytes).sum();
  }

  @Override
  public void close() {
    devices.close();
  }

  /** Every node is reached by its number. */
  private final class Wires implements Links {
    @Override
    public Transport transport() {
      return transport;
    }

    @Override
    public void connect(List<NodeInfo> nodes) {}

    @Override
    public boolean isConnected(int other) {
      return !cluster.isCut(node, other);
    }
  }

  private final class Process implements Host.Node {
    private final Runnable whenReleased;

    Process(Runnable whenReleased) {
      this.whenReleased = whenReleased;
    }

    @Override
    public void released() {
      whenReleased.run();
    }

    @Override
    public void finished(Outcome outcome) {
      finished = true;
    }
  }
}
