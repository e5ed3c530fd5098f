package troupe.simulation;

import akka.actor.typed.ActorRef;
import akka.actor.typed.javadsl.ActorContext;
import java.util.Collection;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import troupe.coordinator.CheckpointCollector;
import troupe.coordinator.Coordinator;
import troupe.coordinator.RunTask;
import troupe.coordinator.host.Host;
import troupe.coordinator.run.Runs;
import troupe.core.config.RunConfig;
import troupe.expert.FaultPlan;

/**
 * A run on the nodes of a simulated cluster: a host on each, one coordinator. Says who is there as
 * Akka Cluster does: some time after it is so, and for good. A coordinator whose node is given up
 * goes on for a while without knowing, and nobody listens to it any more.
 */
final class HostedRun implements AutoCloseable {
  private final SimulatedCluster cluster;
  private final EventLoop loop;
  private final RunConfig config;
  private final Throws faults;
  private final FaultPlan expertFaults;
  private final Invariants invariants;

  /** Every node that ever was. */
  private final SortedMap<Integer, Member> members = new TreeMap<>();

  /** Those that nobody has given up. */
  private final SortedMap<Integer, Member> present = new TreeMap<>();

  private ActorRef<Coordinator.Command> coordinator;
  private int coordinatorNode;
  private int generation;

  HostedRun(
      SimulatedCluster cluster,
      EventLoop loop,
      RunConfig config,
      Throws faults,
      Invariants invariants) {
    this.cluster = cluster;
    this.loop = loop;
    this.config = config;
    this.faults = faults;
    this.expertFaults = faults.ofExperts();
    this.invariants = invariants;
  }

  /** Brings {@code config.cluster.nodes} nodes up. */
  void start() {
    for (int i = 0; i < config.cluster().nodes(); i++) {
      join();
    }
    startCoordinator(0);
  }

  /** All nodes that ever were. */
  Collection<Member> members() {
    return members.values();
  }

  Member member(int node) {
    return members.get(node);
  }

  /** The nodes that nobody has given up, by number. */
  List<Integer> present() {
    return List.copyOf(present.keySet());
  }

  int coordinatorNode() {
    return coordinatorNode;
  }

  /** A node comes. */
  void join() {
    Member member = new Member(cluster, config);
    members.put(member.node(), member);
    member.start(
        faults.in(Runs.randomBatches(config)),
        faults.in(Runs.draws(config)),
        expertFaults,
        loop,
        () -> leave(member.node()),
        () -> {
          present.put(member.node(), member);
          announce();
        });
  }

  private void startCoordinator(int node) {
    coordinatorNode = node;
    int number = ++generation;
    coordinator = null;
    cluster.on(node, context -> spawnCoordinator(context, node, number));
  }

  private void spawnCoordinator(ActorContext<?> context, int node, int number) {
    coordinator =
        context.spawn(
            Coordinator.create(
                new Coordinator.Settings(
                    config,
                    node,
                    config.cluster().nodes(),
                    List.of(new RunTask.Train(config.train().steps())),
                    CheckpointCollector.NONE,
                    invariants.listener(() -> number == generation),
                    this::expel,
                    loop::nowNs)),
            "coordinator-" + number);
    announce();
  }

  private void announce() {
    if (coordinator != null) {
      // As Akka Cluster does: said on the coordinator's own node.
      ActorRef<Coordinator.Command> to = coordinator;
      Coordinator.HostsChanged changed =
          new Coordinator.HostsChanged(
              present.values().stream().map(Member::host).collect(Collectors.toSet()));
      loop.post(loop.nowNs(), coordinatorNode, () -> to.tell(changed));
    }
  }

  /** Says something to the host of a node as its own process does. */
  void tell(int node, Host.Command command) {
    loop.post(loop.nowNs(), node, () -> members.get(node).host().tell(command));
  }

  /**
   * Nothing is heard of a node any more. After a while the others give it up; from then on nothing
   * of it reaches anyone.
   *
   * @param delayNs until it is given up
   * @param handoverNs from then on until another coordinator starts, if it had that
   */
  void giveUp(int node, long delayNs, long handoverNs) {
    loop.post(
        loop.nowNs() + delayNs,
        EventLoop.NOBODY,
        () -> {
          if (!cluster.isClosed() && present.remove(node) != null) {
            cluster.isolate(node);
            removed(node, handoverNs);
          }
        });
  }

  /** The coordinator has a node removed. */
  private void expel(ActorRef<Host.Command> host) {
    members.values().stream()
        .filter(member -> host.equals(member.host()))
        .forEach(member -> giveUp(member.node(), 0, 0));
  }

  private void removed(int node, long handoverNs) {
    if (node != coordinatorNode) {
      announce();
      return;
    }
    generation++; // Nobody listens to the old one.
    coordinator = null;
    loop.post(
        loop.nowNs() + handoverNs,
        EventLoop.NOBODY,
        () -> {
          if (!cluster.isClosed() && present.isEmpty()) {
            throw new IllegalStateException("nobody is left");
          }
          if (!cluster.isClosed()) {
            startCoordinator(present.firstKey());
          }
        });
  }

  /** A node was told that it may go. */
  private void leave(int node) {
    if (!cluster.isClosed() && present.remove(node) != null) {
      cluster.kill(node);
      removed(node, 0);
    }
  }

  @Override
  public void close() {
    members.values().forEach(Member::close);
  }
}
