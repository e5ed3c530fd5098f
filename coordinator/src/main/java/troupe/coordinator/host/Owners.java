package troupe.coordinator.host;

import akka.actor.typed.ActorRef;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.javadsl.ActorContext;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Collectors;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.placement.ExpertId;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.expert.ExpertActor;
import troupe.expert.network.ExpertState;
import troupe.expert.network.Incarnations;
import troupe.router.RouterActor;
import troupe.router.trunk.RankState;

/**
 * The routers and experts of one epoch on this node: children of the host, which hears their events
 * and is told when one has stopped. Their states are the model's and outlive them.
 */
final class Owners {

  private final ActorContext<Host.Command> context;
  private final Host.Settings settings;
  private final Model model;
  private final ShardMemory memory;
  private final Map<Integer, ActorRef<RouterActor.Command>> routers = new TreeMap<>();
  private final Map<ExpertId, ActorRef<ExpertActor.Command>> experts = new TreeMap<>();
  private final Map<String, Incarnations> incarnations = new HashMap<>();

  Owners(ActorContext<Host.Command> context, Host.Settings settings, ShardMemory memory) {
    this.context = context;
    this.settings = settings;
    this.model = settings.model();
    this.memory = memory;
  }

  /** One for each state that the model has now; batches find them from here on. */
  void spawn(EpochPlan plan) {
    model.experts().forEach(expert -> spawn(plan, expert));
    model.ranks().forEach(rank -> spawn(plan, rank));
    settings
        .receiver()
        .connect(
            with(routers, model.ranks(), RankState::rank, RankState::device),
            with(experts, model.experts(), Owners::id, ExpertState::device));
  }

  private void spawn(EpochPlan plan, ExpertState expert) {
    expert.forgetGradient();
    ExpertActor.Settings ofExpert =
        new ExpertActor.Settings(
            settings.runId(),
            plan.epoch(),
            model.config().train().ranks(),
            model.config().train().microBatches(),
            settings.links().transport(),
            plan.placement()::nodeOfRank,
            settings.faults(),
            context.messageAdapter(ExpertActor.Event.class, Host.FromExpert::new));
    experts.put(
        id(expert),
        watched(
            context.spawn(
                ExpertActor.create(ofExpert, expert),
                "expert-" + expert.layer() + "-" + expert.expert(),
                computeOn(expert.device())),
            expert.incarnations()));
  }

  private void spawn(EpochPlan plan, RankState rank) {
    rank.closeRetired();
    rank.gradientStep(-1);
    RunConfig.Cluster cluster = model.config().cluster();
    RouterActor.Settings ofRank =
        new RouterActor.Settings(
            settings.runId(),
            plan.epoch(),
            Duration.ofNanos((long) (cluster.replyTimeoutSeconds() * 1e9)),
            settings.links().transport(),
            plan.placement(),
            settings.batches(),
            settings.draws(),
            context.messageAdapter(RouterActor.Event.class, Host.FromRouter::new));
    routers.put(
        rank.rank(),
        watched(
            context.spawn(
                RouterActor.create(ofRank, rank),
                "router-" + rank.rank(),
                computeOn(rank.device())),
            rank.incarnations()));
  }

  private static ExpertId id(ExpertState expert) {
    return new ExpertId(expert.layer(), expert.expert());
  }

  /** Actors with the devices that they are on. */
  private static <K, S, C> Map<K, NodeReceiver.Owner<C>> with(
      Map<K, ActorRef<C>> actors, List<S> states, Function<S, K> key, Function<S, Device> device) {
    return states.stream()
        .collect(
            Collectors.toMap(
                key,
                state ->
                    new NodeReceiver.Owner<>(actors.get(key.apply(state)), device.apply(state))));
  }

  private DispatcherSelector computeOn(Device device) {
    return DispatcherSelector.fromConfig(ComputeThreads.dispatcher(model.devices(), device));
  }

  private <T> ActorRef<T> watched(ActorRef<T> owner, Incarnations its) {
    incarnations.put(owner.path().name(), its);
    context.watchWith(owner, new Host.OwnerEnded(owner.path().name()));
    return owner;
  }

  /**
   * No batch reaches anyone any more, and all are stopped, which takes as long as what they are at.
   * Experts first: they read rows that routers have lent them.
   */
  void stop() {
    settings.receiver().disconnect();
    experts.values().forEach(context::stop);
    stopRoutersAfterExperts();
  }

  private void stopRoutersAfterExperts() {
    if (experts.isEmpty()) {
      routers.values().forEach(context::stop);
    }
  }

  /** One has stopped. */
  void onEnded(String name) {
    boolean wasExpert = experts.values().removeIf(expert -> expert.path().name().equals(name));
    routers.values().removeIf(router -> router.path().name().equals(name));
    if (wasExpert) {
      stopRoutersAfterExperts();
    }
  }

  /** What one that has stopped threw last, or {@code null}. */
  RuntimeException lastFailure(String name) {
    return incarnations.get(name).lastFailure();
  }

  boolean isEmpty() {
    return experts.isEmpty() && routers.isEmpty();
  }

  int count() {
    return experts.size() + routers.size();
  }

  Set<Integer> ranks() {
    return routers.keySet();
  }

  void tellRouters(RouterActor.Command command) {
    routers.values().forEach(router -> router.tell(command));
  }

  void tellRouter(int rank, RouterActor.Command command) {
    if (routers.containsKey(rank)) {
      routers.get(rank).tell(command);
    }
  }

  void tellExperts(ExpertActor.Command command) {
    experts.values().forEach(expert -> expert.tell(command));
  }

  void tellExpert(int layer, int expert, ExpertActor.Command command) {
    ActorRef<ExpertActor.Command> one = experts.get(new ExpertId(layer, expert));
    if (one != null) {
      one.tell(command);
    }
  }

  /**
   * Has all owners copy their state before they do anything of the next step: they take their
   * messages in order.
   *
   * @param trunkFrom the rank that copies the trunk, if it lives here
   * @param copied takes each copy, on the owner's thread
   */
  void copyAll(int trunkFrom, Consumer<ShardCopy> copied) {
    tellExperts(
        new ExpertActor.TakeSnapshot(expert -> copied.accept(ShardStates.copy(expert, memory))));
    tellRouters(
        new RouterActor.TakeSnapshot(
            rank -> {
              ShardId moments = ShardId.moments(rank.rank());
              copied.accept(ShardStates.copy(rank, moments, memory));
              if (rank.rank() == trunkFrom) {
                copied.accept(ShardStates.copy(rank, ShardId.trunk(), memory));
              }
            }));
  }

  /** For the log: who is still there. */
  @Override
  public String toString() {
    return "experts=" + experts.keySet() + " ranks=" + routers.keySet();
  }
}
