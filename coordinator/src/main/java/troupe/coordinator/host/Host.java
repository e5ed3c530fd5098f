package troupe.coordinator.host;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.PostStop;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.placement.NodeInfo;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DeviceException;
import troupe.expert.ExpertActor;
import troupe.expert.FaultPlan;
import troupe.router.BatchSource;
import troupe.router.RouterActor;
import troupe.router.pass.DrawsSource;
import troupe.transport.Phase;

/**
 * Keeps the routers and experts that live on a node, their committed state, and copies of the state
 * of other nodes. The coordinator talks to hosts only, so its messages grow with nodes, not with
 * experts.
 *
 * <pre>
 *   IDLE, RUNNING, PREPARING: Report of a newer epoch -> FENCED     (all actors stop; answers Inventory)
 *   FENCED:    Prepare                                -> PREPARING  (fetches what it lacks)
 *   PREPARING: every shard is there                   -> RUNNING    (spawns actors; answers Prepared)
 *   RUNNING:   commands to routers and experts        -> RUNNING    (their events go up in bundles)
 *   any:       Finish                                 -> STOPPED
 * </pre>
 *
 * A message of an epoch older than the newest one heard of is dropped: whoever was away while the
 * others went on cannot change anything.
 */
public final class Host {
  /** What a host is told. */
  public sealed interface Command
      permits Report,
          Prepare,
          ToRouters,
          ToRouter,
          ToExperts,
          ToExpert,
          Replicate,
          Keep,
          Checkpoint,
          Release,
          Leave,
          Move,
          Stop,
          Finish,
          Fetch,
          Receipts,
          StoodStill,
          FromRouter,
          FromExpert,
          OwnerEnded,
          Copied,
          Whole,
          Repeated,
          Later,
          Tick {}

  /**
   * An epoch is about to begin: stop everything of older ones and say what you have. May be
   * repeated.
   *
   * @param withDisk whether to look for checkpoints too, which takes a while
   */
  public record Report(int epoch, boolean withDisk, ActorRef<Event> coordinator)
      implements Command {}

  /** The epoch is planned: become what the plan says. May be repeated. */
  public record Prepare(EpochPlan plan, Map<Integer, ActorRef<Command>> hosts) implements Command {}

  /** For all routers here; of a step that is asked for again hosts without any are told, too. */
  public record ToRouters(int epoch, RouterActor.Command command) implements Command {}

  /** For one router here. */
  public record ToRouter(int epoch, int rank, RouterActor.Command command) implements Command {}

  /** For all experts here. */
  public record ToExperts(int epoch, ExpertActor.Command command) implements Command {}

  /** For one expert here. */
  public record ToExpert(int epoch, int layer, int expert, ExpertActor.Command command)
      implements Command {}

  /** The step is committed: copy everything as it is now, and send copies to other nodes. */
  public record Replicate(int epoch, long step) implements Command {}

  /** All copies of a step are where they belong: forget older ones. */
  public record Keep(int epoch, long step) implements Command {}

  /** The step is committed: copy everything as it is now for the checkpoint writer of a node. */
  public record Checkpoint(int epoch, long step, int writer) implements Command {}

  /** Nothing lives here any more: the node may go. */
  public record Release(int epoch) implements Command {}

  /** Whoever runs this process wants it to end; said by the node itself. */
  public record Leave() implements Command {}

  /** Someone at this node wants an expert to live on the node, or the device, of that name. */
  public record Move(int layer, int expert, String toNode, ActorRef<Answer> replyTo)
      implements Command {}

  /** Someone at this node wants the run to end with a checkpoint. */
  public record Stop(ActorRef<Answer> replyTo) implements Command {}

  /** What became of a wish. */
  public sealed interface Answer permits Accepted, Refused {}

  /** It will be done; {@code line} says what. */
  public record Accepted(String line) implements Answer {}

  /** It cannot be done. */
  public record Refused(String message, String hint) implements Answer {}

  /** The run is over. */
  public record Finish(Outcome outcome) implements Command {}

  /** Another host asks for a shard. May be repeated. */
  public record Fetch(int epoch, ShardId shard, long step, int toNode) implements Command {}

  /** Another host has the whole of a shard that was sent to it. */
  public record Arrived(int epoch, ShardId shard, long step, Phase phase, int node) {}

  /** What another host has received. */
  public record Receipts(List<Arrived> arrived) implements Command {}

  /**
   * This process stood still for so long that the others may have gone on without it: nothing is
   * done any more until an epoch is reported.
   */
  public record StoodStill() implements Command {}

  /** An event of a router here. */
  record FromRouter(RouterActor.Event event) implements Command {}

  /** An event of an expert here. */
  record FromExpert(ExpertActor.Event event) implements Command {}

  /** A router or expert has stopped. */
  record OwnerEnded(String name) implements Command {}

  /** An owner has copied its state. The reference to the copy comes with the message. */
  record Copied(int epoch, Phase purpose, int writer, ShardCopy copy) implements Command {}

  /** A shard has come from another node. The reference to the copy comes with the message. */
  record Whole(int epoch, Phase phase, ShardCopy copy) implements Command {}

  /** A shard has come that was there already: its sender has not heard so. */
  record Repeated(int epoch, Phase phase, ShardId shard, long step) implements Command {}

  /** Something to do on the thread of the host. */
  record Later(Runnable work) implements Command {}

  /** Time to look after what is under way. */
  record Tick() implements Command {}

  /** What a host tells the coordinator. */
  public sealed interface Event
      permits Reported,
          Stale,
          GaveUp,
          Prepared,
          Preparing,
          Failed,
          Leaving,
          MoveAsked,
          StopAsked,
          Bundle,
          Replicated {
    /** The epoch it is about. */
    int epoch();

    /** The node of the host. */
    int node();
  }

  /**
   * Nothing of an older epoch is done here any more.
   *
   * @param before the nodes of the last epoch that this one took part in
   * @param quietMs how long ago it last heard from a coordinator in that epoch
   */
  public record Reported(
      int epoch,
      NodeInfo info,
      ActorRef<Command> host,
      Inventory inventory,
      boolean leaving,
      List<NodeInfo> before,
      long quietMs)
      implements Event {
    /** Copies the list. */
    public Reported {
      before = List.copyOf(before);
    }

    @Override
    public int node() {
      return info.node();
    }
  }

  /** The epoch asked for is not newer than one that this host knows. */
  public record Stale(int epoch, int node, int newest) implements Event {}

  /** This node stood still for so long that it does nothing more in this epoch: begin another. */
  public record GaveUp(int epoch, int node) implements Event {}

  /** This node was asked to go: nothing should live here any more. */
  public record Leaving(int epoch, int node) implements Event {}

  /**
   * An expert should live on the node, or the device, of that name; the answer goes to who asks.
   */
  public record MoveAsked(
      int epoch, int node, int layer, int expert, String toNode, ActorRef<Answer> replyTo)
      implements Event {}

  /** The run should end with a checkpoint; the answer goes to who wants it. */
  public record StopAsked(int epoch, int node, ActorRef<Answer> replyTo) implements Event {}

  /** All actors of the plan are there, at its step. */
  public record Prepared(int epoch, int node) implements Event {}

  /**
   * Shards or connections are still on their way; said every second.
   *
   * @param waitingFor for people
   * @param nodes who has to do something for it; empty if only this node itself
   */
  public record Preparing(int epoch, int node, String waitingFor, List<Integer> nodes)
      implements Event {
    /** Copies the list. */
    public Preparing {
      nodes = List.copyOf(nodes);
    }
  }

  /**
   * This node cannot do what it was told, and another try here would not help.
   *
   * @param isMistake whether the user has to correct something
   */
  public record Failed(
      int epoch, int node, ActorRef<Command> host, String message, String hint, boolean isMistake)
      implements Event {}

  /** Events of routers and experts, in order; reports that all are expected to give go together. */
  public record Bundle(
      int epoch, int node, List<RouterActor.Event> routers, List<ExpertActor.Event> experts)
      implements Event {
    /** Copies the lists. */
    public Bundle {
      routers = List.copyOf(routers);
      experts = List.copyOf(experts);
    }
  }

  /** Every copy of this node's state at {@code step} is where it belongs. */
  public record Replicated(int epoch, int node, long step, long bytes) implements Event {}

  /** What a host is told of its process. */
  public interface Node {
    /** Nothing of the run is here any more, and it goes on elsewhere. */
    void released();

    /** The run is over. */
    void finished(Outcome outcome);
  }

  /**
   * What a host is given at birth.
   *
   * @param runId stamped on every batch
   * @param model what of the run is here at the start; the caller closes it after the host
   * @param checkpoints the folder of checkpoints that this node can read, or {@code null}
   * @param nanoTime the clock of transfers
   * @param faults exceptions to throw on purpose
   */
  public record Settings(
      NodeInfo info,
      long runId,
      Model model,
      NodeReceiver receiver,
      Links links,
      BatchSource batches,
      DrawsSource draws,
      FaultPlan faults,
      Path checkpoints,
      CheckpointSink sink,
      LongSupplier nanoTime,
      Node node) {}

  private enum State {
    IDLE,
    FENCING,
    FENCED,
    PREPARING,
    RUNNING,
    FINISHING,
    STOPPED
  }

  private static final Logger LOG = LoggerFactory.getLogger(Host.class);

  /**
   * How many numbers of experts a message holds before it is sent; the next report on top, that is
   * well below the largest frame.
   */
  public static final int NUMBERS_A_MESSAGE = 1 << 16;

  /** How often to look after transfers. */
  private static final Duration TICK = Duration.ofMillis(100);

  /** How often to look whether connections are up. */
  private static final Duration CONNECT_TICK = Duration.ofMillis(10);

  /** An actor that does not stop, in a native call say, must not keep the process for ever. */
  private static final long FINISH_PATIENCE_NS = Duration.ofSeconds(30).toNanos();

  private static final String GO_ON = "resume=true goes on from the last checkpoint";

  /** Ticks between two lines on what is waited for. */
  private static final int TICKS_A_REPORT = 10;

  /** Reports that wait for others wait no longer than this. */
  private static final int TICKS_A_FLUSH = 5;

  private final ActorContext<Command> context;
  private final TimerScheduler<Command> timers;
  private final Settings settings;
  private final RunConfig config;
  private final Model model;
  private final ShardMemory memory;
  private final ShardStore store = new ShardStore();
  private final ShardTraffic traffic;
  private final Restore restore;
  private final Owners owners;
  private State state = State.IDLE;
  private int epoch;
  private ActorRef<Event> coordinator;
  private EpochPlan plan;
  private Preparation preparation;
  private Bundler bundler;
  private boolean leaving;
  private boolean gaveUp;
  private long heardNs;
  private boolean withDisk;
  private Outcome outcome;
  private long finishNs;
  private int ticks;
  private int flushedTick;

  private Host(ActorContext<Command> context, TimerScheduler<Command> timers, Settings settings) {
    this.context = context;
    this.timers = timers;
    this.settings = settings;
    this.model = settings.model();
    this.config = model.config();
    this.memory = new ShardMemory(new ShardCatalog(config, model.devices().first().dtype()));
    this.owners = new Owners(context, settings, memory);
    this.traffic =
        new ShardTraffic(settings, memory, store, context.getSelf(), this::onUndelivered);
    this.restore = new Restore(model, memory, store, settings.checkpoints());
    context.spawn(LostRows.create(), "lost-rows");
    timers.startTimerWithFixedDelay(new Tick(), TICK);
  }

  /** Where a host runs: it loads and copies state, which takes long for an actor. */
  public static DispatcherSelector dispatcher() {
    return DispatcherSelector.fromConfig("troupe.host-dispatcher");
  }

  /** A host that waits for a coordinator. */
  public static Behavior<Command> create(Settings settings) {
    return Behaviors.setup(
        context ->
            Behaviors.withTimers(
                timers -> {
                  Host host = new Host(context, timers, settings);
                  return Behaviors.receive(Command.class)
                      .onAnyMessage(host::onCommand)
                      .onSignal(PostStop.class, signal -> host.onPostStop())
                      .build();
                }));
  }

  private Behavior<Command> onCommand(Command command) {
    try {
      obey(command);
    } catch (UserException e) {
      failed(e.getMessage(), e.hint(), true);
    } catch (RuntimeException e) {
      LOG.error("host failed epoch={}", epoch, e);
      failed(
          "node=" + settings.info().name() + ": " + e,
          "the log of that node has the stack trace",
          false);
    }
    return Behaviors.same();
  }

  private void obey(Command command) {
    switch (command) {
      case Report report -> onReport(report);
      case Prepare prepare -> onPrepare(prepare);
      case ToRouters to -> onToRouters(to);
      case ToRouter to -> {
        if (isRunning(to.epoch())) {
          owners.tellRouter(to.rank(), to.command());
        }
      }
      case ToExperts to -> {
        if (isRunning(to.epoch())) {
          owners.tellExperts(to.command());
        }
      }
      case ToExpert to -> {
        if (isRunning(to.epoch())) {
          owners.tellExpert(to.layer(), to.expert(), to.command());
        }
      }
      case Replicate replicate -> onReplicate(replicate);
      case Keep keep -> {
        if (isRunning(keep.epoch())) {
          store.keepFrom(keep.step());
        }
      }
      case Checkpoint checkpoint -> onCheckpoint(checkpoint);
      case Release release -> {
        if (isRunning(release.epoch())) {
          settings.node().released();
        }
      }
      case Leave leave -> onLeave();
      case Move move ->
          passOn(
              new MoveAsked(
                  epoch, node(), move.layer(), move.expert(), move.toNode(), move.replyTo()),
              move.replyTo());
      case Stop stop -> passOn(new StopAsked(epoch, node(), stop.replyTo()), stop.replyTo());
      case Finish finish -> onFinish(finish.outcome());
      case Fetch fetch -> onFetch(fetch);
      case Receipts receipts -> receipts.arrived().forEach(this::onArrived);
      case StoodStill stood -> onStoodStill();
      case FromRouter from -> {
        if (state == State.RUNNING && bundler.add(from.event())) {
          flush();
        }
      }
      case FromExpert from -> {
        if (state == State.RUNNING && bundler.add(from.event())) {
          flush();
        }
      }
      case OwnerEnded ended -> onOwnerEnded(ended.name());
      case Copied copied -> onCopied(copied);
      case Whole whole -> onWhole(whole);
      case Repeated repeated -> {
        if (repeated.epoch() == epoch) {
          traffic.confirm(repeated.shard(), repeated.step(), repeated.phase());
        }
      }
      case Later later -> later.work().run();
      case Tick tick -> onTick();
    }
  }

  private boolean isRunning(int ofEpoch) {
    return ofEpoch == epoch && state == State.RUNNING;
  }

  private int node() {
    return settings.info().node();
  }

  // The fence.

  private void onReport(Report report) {
    if (state == State.FINISHING || state == State.STOPPED) {
      return;
    }
    boolean repeated = report.epoch() == epoch && report.coordinator().equals(coordinator);
    if (!repeated && report.epoch() <= epoch) {
      report.coordinator().tell(new Stale(report.epoch(), node(), epoch));
      return;
    }
    if (!repeated) {
      epoch = report.epoch();
      coordinator = report.coordinator();
      withDisk = report.withDisk();
      gaveUp = false;
      fence(State.FENCING);
    } else if (state == State.FENCED && !gaveUp) {
      sendReport();
    }
  }

  /**
   * Nothing of the epoch so far is done any more from here on.
   *
   * @param until all owners have stopped
   */
  private void fence(State until) {
    settings.links().transport().setEpoch(epoch);
    traffic.fence(epoch);
    memory.trim();
    bundler = null;
    state = until;
    owners.stop();
    if (owners.isEmpty()) {
      ended();
    }
  }

  private void onOwnerEnded(String name) {
    owners.onEnded(name);
    if (state == State.RUNNING) {
      tellWhyEnded(name);
    } else if (owners.isEmpty()) {
      ended();
    }
  }

  private void tellWhyEnded(String name) {
    switch (owners.lastFailure(name)) {
      case UserException mistake -> failed(mistake.getMessage(), mistake.hint(), true);
      case DeviceException lost when lost.isLost() ->
          failed(name + ": " + lost.line(), lost.hint() + "; " + GO_ON, false);
      case null, default ->
          failed(
              name + " stopped after repeated failures",
              "the run's log has the stack traces; " + GO_ON,
              false);
    }
  }

  private void ended() {
    switch (state) {
      case FENCING -> {
        state = State.FENCED;
        if (!gaveUp) {
          sendReport();
        }
      }
      case FINISHING -> {
        state = State.STOPPED;
        settings.node().finished(outcome);
      }
      case IDLE, FENCED, PREPARING, RUNNING, STOPPED -> {}
    }
  }

  private void sendReport() {
    coordinator.tell(
        new Reported(
            epoch,
            settings.info(),
            context.getSelf(),
            restore.inventory(withDisk, plan == null ? null : plan.placement()),
            leaving,
            plan == null ? List.of() : plan.nodes(),
            plan == null ? 0 : (settings.nanoTime().getAsLong() - heardNs) / 1_000_000));
  }

  private void onStoodStill() {
    if (state == State.RUNNING || state == State.PREPARING) {
      LOG.info("epoch={} given up: this process stood still", epoch);
      gaveUp = true;
      fence(State.FENCING);
      coordinator.tell(new GaveUp(epoch, node()));
    }
  }

  // The way into an epoch.

  private void onPrepare(Prepare prepare) {
    if (prepare.plan().epoch() != epoch) {
      return;
    }
    if (state == State.RUNNING) {
      coordinator.tell(new Prepared(epoch, node()));
      return;
    }
    // Whoever stood still since it reported is not of this epoch any more.
    if (gaveUp && coordinator != null) {
      coordinator.tell(new GaveUp(epoch, node()));
    }
    if (state != State.FENCED || coordinator == null || gaveUp) {
      return;
    }
    heardNs = settings.nanoTime().getAsLong();
    plan = prepare.plan();
    traffic.begin(plan, prepare.hosts());
    preparation = new Preparation(prepare, node(), settings.links(), restore);
    state = State.PREPARING;
    preparation.begin();
    becomeReady();
  }

  private void onFetch(Fetch fetch) {
    if (fetch.epoch() != epoch
        || state != State.FENCED && state != State.PREPARING && state != State.RUNNING) {
      return;
    }
    ShardCopy copy = restore.copyOf(fetch.shard(), fetch.step());
    if (copy == null && state == State.RUNNING) {
      return; // Asked once more and late: everybody was ready, so the shard is there.
    }
    if (copy == null) {
      failed(
          "node=%s has no %s of step %d"
              .formatted(settings.info().name(), fetch.shard(), fetch.step()),
          "this is not your mistake; the run's log says what was planned",
          false);
      return;
    }
    traffic.restore(fetch.toNode(), copy);
  }

  private void becomeReady() {
    if (state != State.PREPARING || !preparation.hasAllShards()) {
      return;
    }
    if (!preparation.isConnected()) {
      timers.startSingleTimer(CONNECT_TICK, new Later(this::becomeReady), CONNECT_TICK);
      return;
    }
    restore.finish();
    owners.spawn(plan);
    bundler =
        new Bundler(
            epoch,
            node(),
            owners.count(),
            owners.ranks().size() * config.model().moeLayers().size());
    state = State.RUNNING;
    coordinator.tell(new Prepared(epoch, node()));
  }

  // Steps.

  private void onToRouters(ToRouters to) {
    if (gaveUp && to.epoch() == epoch) {
      coordinator.tell(new GaveUp(epoch, node()));
    }
    if (!isRunning(to.epoch())) {
      return;
    }
    heardNs = settings.nanoTime().getAsLong();
    if (to.command() instanceof RouterActor.Step step) {
      // Without routers here a step is only told of when it is asked for again.
      if (!bundler.begin(step.step()) || owners.ranks().isEmpty()) {
        // Whatever was reported may have got lost.
        coordinator.tell(bundler.again(step.step()));
      }
    }
    owners.tellRouters(to.command());
  }

  private void flush() {
    coordinator.tell(bundler.take());
    flushedTick = ticks;
  }

  private void onTick() {
    traffic.tick();
    ticks++;
    if (state == State.RUNNING && !bundler.isEmpty() && ticks - flushedTick >= TICKS_A_FLUSH) {
      flush();
    }
    if (state == State.RUNNING && leaving && ticks % TICKS_A_REPORT == 0) {
      coordinator.tell(new Leaving(epoch, node()));
    }
    if (state == State.PREPARING && ticks % TICKS_A_REPORT == 0) {
      preparation.fetchMissing();
      coordinator.tell(preparation.waiting());
    }
    if (state == State.FINISHING
        && settings.nanoTime().getAsLong() - finishNs > FINISH_PATIENCE_NS) {
      LOG.error("epoch={} do not stop: {}", epoch, owners);
      state = State.STOPPED;
      settings.node().finished(outcome);
    }
  }

  // Copies.

  private void onReplicate(Replicate replicate) {
    if (!isRunning(replicate.epoch())) {
      return;
    }
    if (traffic.beginRound(replicate.step())) {
      copyAll(Phase.REPLICA, node(), traffic.trunkFrom(owners.ranks()));
      reportIfReplicated();
    } else {
      // Asked again: the coordinator has not heard so.
      tellReplicated();
    }
  }

  private void onCheckpoint(Checkpoint checkpoint) {
    if (isRunning(checkpoint.epoch())) {
      copyAll(Phase.CHECKPOINT, checkpoint.writer(), 0);
    }
  }

  private void copyAll(Phase purpose, int writer, int trunkFrom) {
    ActorRef<Command> self = context.getSelf();
    int ofEpoch = epoch;
    owners.copyAll(trunkFrom, copy -> self.tell(new Copied(ofEpoch, purpose, writer, copy)));
  }

  private void onCopied(Copied copied) {
    if (isRunning(copied.epoch())) {
      traffic.onCopied(copied.purpose(), copied.writer(), copied.copy());
      reportIfReplicated();
    } else {
      copied.copy().release();
    }
  }

  private void onWhole(Whole whole) {
    if (whole.epoch() != epoch) {
      whole.copy().release();
    } else if (traffic.onWhole(whole.phase(), whole.copy())) {
      becomeReady();
    }
  }

  private void onArrived(Arrived arrived) {
    traffic.onArrived(arrived);
    reportIfReplicated();
  }

  private void reportIfReplicated() {
    if (traffic.endRound()) {
      tellReplicated();
    }
  }

  private void tellReplicated() {
    coordinator.tell(new Replicated(epoch, node(), traffic.replicatedStep(), store.bytes()));
  }

  /** The node it was for is about to be given up, or will ask again. */
  private void onUndelivered(int toNode, Phase phase, ShardId shard, long step) {
    LOG.warn(
        "epoch={} node={} undelivered phase={} shard={} step={}",
        epoch,
        toNode,
        phase,
        shard,
        step);
  }

  // The end.

  private void onLeave() {
    leaving = true;
    if (coordinator == null) {
      settings.node().released();
    } else {
      coordinator.tell(new Leaving(epoch, node()));
    }
  }

  private void onFinish(Outcome end) {
    if (state == State.FINISHING || state == State.STOPPED) {
      return;
    }
    outcome = end;
    finishNs = settings.nanoTime().getAsLong();
    fence(State.FINISHING);
  }

  private void passOn(Event wish, ActorRef<Answer> replyTo) {
    if (state == State.RUNNING) {
      coordinator.tell(wish);
    } else {
      replyTo.tell(
          new Refused(
              "training does not go on at this moment", "try again when steps are committed"));
    }
  }

  private void failed(String message, String hint, boolean isMistake) {
    if (coordinator != null) {
      coordinator.tell(new Failed(epoch, node(), context.getSelf(), message, hint, isMistake));
    }
  }

  private Behavior<Command> onPostStop() {
    traffic.close();
    store.close();
    memory.close();
    return Behaviors.same();
  }
}
