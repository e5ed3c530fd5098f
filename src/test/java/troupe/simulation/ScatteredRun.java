package troupe.simulation;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;
import troupe.coordinator.Coordinator;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.run.Model;
import troupe.coordinator.run.Runs;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.expert.network.ExpertState;
import troupe.router.RouterActor;
import troupe.router.trunk.RankState;

/**
 * Coordinator, routers and experts of a run, each on a node of its own choice. They know each other
 * from the start and none of their nodes dies: what is lost are batches and incarnations.
 */
final class ScatteredRun {
  private static final long RUN_ID = 1;
  private static final int FIRST_EPOCH = 1;

  private final SimulatedCluster cluster;
  private final Model model;
  private final RunConfig config;
  private final Throws faults;
  private final RunListener listener;
  private final SimulatedTransport[] transports;
  private final int[] nodeOfRank;
  private final int[][] nodeOfExpert;
  private final ScatteredOwners owners = new ScatteredOwners(this::beginEpoch);
  private final ScatteredReceiver receiver;
  private final EventLoop loop;
  private int nodesReady;

  private ScatteredRun(
      SimulatedCluster cluster,
      EventLoop loop,
      Model model,
      Throws faults,
      int nodes,
      RunListener listener) {
    this.cluster = cluster;
    this.loop = loop;
    this.model = model;
    this.config = model.config();
    this.faults = faults;
    this.listener = listener;
    this.receiver = new ScatteredReceiver(model.device(), owners);
    this.transports = new SimulatedTransport[nodes];
    this.nodeOfRank = cluster.random().ints(config.train().ranks(), 0, nodes).toArray();
    this.nodeOfExpert = new int[config.model().layers()][];
    for (int layer = 0; layer < nodeOfExpert.length; layer++) {
      nodeOfExpert[layer] = cluster.random().ints(config.experts().count(), 0, nodes).toArray();
    }
  }

  /** Brings everybody into the world on {@code nodes} nodes; training begins by itself. */
  static void start(
      SimulatedCluster cluster,
      EventLoop loop,
      Model model,
      Throws faults,
      int nodes,
      RunListener listener) {
    new ScatteredRun(cluster, loop, model, faults, nodes, listener).start();
  }

  private void start() {
    for (int node = 0; node < transports.length; node++) {
      transports[node] = cluster.transport(cluster.join(), receiver);
      transports[node].setEpoch(FIRST_EPOCH);
    }
    cluster.on(0, context -> spawnCoordinator(context));
  }

  private void spawnCoordinator(ActorContext<?> context) {
    ActorRef<Coordinator.Command> coordinator =
        context.spawn(
            Coordinator.create(
                new Coordinator.Settings(
                    config,
                    FIRST_EPOCH,
                    model.committedStep(),
                    List.of(new RunTask.Train(config.train().steps())),
                    Coordinator.Checkpoints.NONE,
                    listener,
                    loop::nowNs)),
            "coordinator");
    for (int node = 0; node < transports.length; node++) {
      int here = node;
      cluster.on(node, nodeContext -> spawnOwners(nodeContext, here, coordinator));
    }
  }

  private void spawnOwners(
      ActorContext<?> context, int node, ActorRef<Coordinator.Command> coordinator) {
    ActorRef<ExpertActor.Event> expertEvents =
        context.spawn(forwarding(coordinator, Coordinator.FromExpert::new), "expert-events");
    for (ExpertState expert : model.experts()) {
      if (nodeOfExpert[expert.layer()][expert.expert()] == node) {
        owners.add(
            new ExpertId(expert.layer(), expert.expert()),
            context.spawn(
                ExpertActor.create(expertSettings(node, expertEvents), expert),
                "expert-" + expert.layer() + "-" + expert.expert()));
      }
    }
    ActorRef<RouterActor.Event> routerEvents =
        context.spawn(forwarding(coordinator, Coordinator.FromRouter::new), "router-events");
    for (RankState rank : model.ranks()) {
      if (nodeOfRank[rank.rank()] == node) {
        owners.add(
            rank.rank(),
            context.spawn(
                RouterActor.create(routerSettings(node, routerEvents), rank),
                "router-" + rank.rank()));
      }
    }
    nodesReady++;
    if (nodesReady == transports.length) {
      coordinator.tell(new Coordinator.Start(owners));
    }
  }

  private ExpertActor.Settings expertSettings(int node, ActorRef<ExpertActor.Event> events) {
    return new ExpertActor.Settings(
        RUN_ID,
        FIRST_EPOCH,
        config.train().ranks(),
        config.train().microBatches(),
        transports[node],
        rank -> nodeOfRank[rank],
        faults.ofExperts(),
        events);
  }

  private RouterActor.Settings routerSettings(int node, ActorRef<RouterActor.Event> events) {
    return new RouterActor.Settings(
        RUN_ID,
        FIRST_EPOCH,
        Duration.ofNanos((long) (config.cluster().replyTimeoutSeconds() * 1e9)),
        transports[node],
        new RouterActor.Placement() {
          @Override
          public int nodeOfExpert(int layer, int expert) {
            return nodeOfExpert[layer][expert];
          }

          @Override
          public int nodeOfRank(int rank) {
            return nodeOfRank[rank];
          }
        },
        faults.in(Runs.randomBatches(config)),
        faults.in(Runs.draws(config)),
        events);
  }

  private static <E> Behavior<E> forwarding(
      ActorRef<Coordinator.Command> coordinator, Function<E, Coordinator.Command> wrap) {
    return Behaviors.receiveMessage(
        event -> {
          coordinator.tell(wrap.apply(event));
          return Behaviors.same();
        });
  }

  /** Nodes hear of a new epoch one after the other. */
  private void beginEpoch(int epoch) {
    for (SimulatedTransport transport : transports) {
      loop.post(
          loop.nowNs() + loop.conditions().wireNs(),
          loop.currentNode(),
          () -> transport.setEpoch(epoch));
    }
  }
}
