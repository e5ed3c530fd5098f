package troupe.coordinator;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.DispatcherSelector;
import akka.actor.typed.PostStop;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.EpochPlanner;
import troupe.coordinator.host.Host;
import troupe.coordinator.placement.ExpertId;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/**
 * Decides what everybody does next: who lives where, which step, with what learning rate and
 * clipping, when to validate, when to copy the state and when to write a checkpoint.
 *
 * <pre>
 *   GATHERING:  enough hosts                 -> REPORTING   (Report to all hosts: the fence of a new epoch)
 *   REPORTING:  Reported of all              -> PREPARING   (the epoch is planned: Prepare to all)
 *   PREPARING:  Prepared of all              -> IDLE        (everybody is at the plan's step)
 *   IDLE:       task to train                -> TRAINING    (a TrainingStep begins)
 *   TRAINING:   all owners are at the step   -> IDLE        (it is committed)
 *   IDLE:       task to evaluate, generate   -> EVALUATING, GENERATING -> IDLE
 *   IDLE:       a host came or wants to go, experts are to move -> REPORTING
 *   any:        a host of the epoch is gone, a router lost its pass, nobody answers -> REPORTING
 *   any:        a host failed, or is the reason why an epoch cannot begin -> REPORTING without it
 *   any:        divergence, two hosts that failed in one step, too many tries for one -> STOPPED (Failed)
 * </pre>
 *
 * A step is decided only when every owner has its gradient. Within an epoch a decided step is
 * always finished: whoever is restarted in the middle is told to apply again, and an expert
 * restarted before the decision gets its batches again. Whatever an epoch cannot mend, a new epoch
 * does: from the newest step that all of the state is held at by somebody. What a coordinator knows
 * it has from hosts, so one that starts on another node simply begins an epoch.
 *
 * <p>Here are the phases and what leads from one to another. What is known meanwhile is elsewhere:
 * who is there ({@link Presence}), who has answered on the way into an epoch ({@link EpochChange}),
 * where owners should live ({@link PlacementWishes}), what is left to do ({@link Agenda}), how far
 * the run is ({@link RunProgress}), what was heard of what is at hand ({@link TrainingStep}, {@link
 * Inference}), how safe it is ({@link Replication}, {@link CheckpointProgress}) and how long to
 * wait ({@link Patience}).
 */
public final class Coordinator {
  /** What the coordinator is told. */
  public sealed interface Command
      permits HostsChanged,
          FromHost,
          Noticed,
          Stop,
          CheckpointEnded,
          CheckProgress,
          RetryCheckpoint,
          Regroup {}

  /** These hosts are there: nobody has given them up. */
  public record HostsChanged(Set<ActorRef<Host.Command>> hosts) implements Command {
    /** Copies the set. */
    public HostsChanged {
      hosts = Set.copyOf(hosts);
    }
  }

  /** An event of a host. */
  public record FromHost(Host.Event event) implements Command {}

  /** Something that happened to a node, for those who watch. */
  public record Noticed(RunEvent event) implements Command {}

  /** Finish the step at hand, write a checkpoint and end. */
  public record Stop() implements Command {}

  /**
   * A checkpoint that was begun is on the disk, or is not.
   *
   * @param epoch the epoch in which it was begun
   * @param failure why it is not, in one line; {@code null} if it is
   */
  public record CheckpointEnded(long epoch, long step, String failure, String hint)
      implements Command {}

  /** Time to look whether anything moves. */
  record CheckProgress() implements Command {}

  /** The checkpoint writer was busy; try again. */
  record RetryCheckpoint() implements Command {}

  /** Whoever wants to leave has said so by now. */
  record Regroup() implements Command {}

  /**
   * What the coordinator is given at birth.
   *
   * @param node the node it lives on, which writes checkpoints
   * @param nodes how many nodes have to be there before training begins
   * @param tasks what to do, in order
   * @param expel removes the node of a host from the cluster, which ends its process if that can be
   *     ended; there are others
   * @param nanoTime the clock of step times and deadlines
   */
  public record Settings(
      RunConfig config,
      int node,
      int nodes,
      List<RunTask> tasks,
      CheckpointCollector checkpoints,
      RunListener listener,
      Consumer<ActorRef<Host.Command>> expel,
      LongSupplier nanoTime) {}

  private enum Phase {
    GATHERING,
    REPORTING,
    PREPARING,
    IDLE,
    TRAINING,
    EVALUATING,
    GENERATING,
    ENDING,
    STOPPED
  }

  private static final Logger LOG = LoggerFactory.getLogger(Coordinator.class);

  /** How often to look whether anything moves: late ones are named so much after their deadline. */
  private static final Duration CHECK_INTERVAL = Duration.ofMillis(500);

  /** How soon to ask a busy checkpoint writer again. */
  private static final Duration CHECKPOINT_RETRY = Duration.ofMillis(100);

  /** When one node is asked to go, others often are: within this time they count as together. */
  private static final Duration LEAVING_TOGETHER = Duration.ofMillis(500);

  private final TimerScheduler<Command> timers;
  private final Settings settings;
  private final RunConfig config;
  private final RunListener listener;
  private final Agenda agenda;
  private final Inference inference;
  private final ActorRef<Host.Event> hostEvents;
  private final Patience patience;
  private final PlacementWishes wishes;
  private final Replication replication;
  private final Presence presence = new Presence();
  private final RunProgress progress = new RunProgress();
  private Phase phase = Phase.GATHERING;
  private int epoch;
  private EpochChange change;
  private Group group;
  private String regroupCause;

  private CheckpointProgress checkpoints;
  private boolean stopping;
  private Outcome ending;
  private TrainingStep step;

  private Coordinator(
      ActorContext<Command> context, TimerScheduler<Command> timers, Settings settings) {
    this.timers = timers;
    this.settings = settings;
    this.config = settings.config();
    this.listener = settings.listener();
    this.agenda = new Agenda(config, settings.tasks());
    this.inference = new Inference(config.train().ranks());
    this.hostEvents = context.messageAdapter(Host.Event.class, FromHost::new);
    this.patience = new Patience(config.cluster().replyTimeoutSeconds(), now());
    this.wishes = new PlacementWishes(config);
    this.replication = new Replication(config.replicate().every());
    timers.startTimerWithFixedDelay(new CheckProgress(), CHECK_INTERVAL);
  }

  /** Where a coordinator runs: GPUs wait for it between norm and update. */
  public static DispatcherSelector dispatcher() {
    return DispatcherSelector.fromConfig("troupe.coordinator-dispatcher");
  }

  /** A coordinator that waits for hosts. */
  public static Behavior<Command> create(Settings settings) {
    return Behaviors.setup(
        context ->
            Behaviors.withTimers(
                timers -> {
                  Coordinator coordinator = new Coordinator(context, timers, settings);
                  return Behaviors.receive(Command.class)
                      .onAnyMessage(coordinator::onCommand)
                      .onSignal(PostStop.class, signal -> coordinator.onPostStop())
                      .build();
                }));
  }

  private Behavior<Command> onCommand(Command command) {
    if (phase == Phase.STOPPED) {
      return Behaviors.same();
    }
    try {
      obey(command);
    } catch (RuntimeException e) {
      // Nobody supervises the coordinator: without this its run would wait for it for ever.
      LOG.error("coordinator failed step={}", progress.step() + 1, e);
      fail(
          "coordinator: " + e,
          "the run's log has the stack trace; resume=true goes on from the last checkpoint");
    }
    return Behaviors.same();
  }

  private void obey(Command command) {
    switch (command) {
      case HostsChanged changed -> onHostsChanged(changed.hosts());
      case FromHost from -> onHost(from.event());
      case Noticed noticed -> tell(noticed.event());
      case Stop stop -> onStop();
      case CheckProgress check -> onCheckProgress();
      case CheckpointEnded ended -> onCheckpointEnded(ended);
      case RetryCheckpoint retry -> {
        if (phase == Phase.ENDING) {
          finishWithCheckpoint(ending);
        }
      }
      case Regroup regroup -> onRegroup();
    }
  }

  // Who is there, and the way into an epoch.

  private void onHostsChanged(Set<ActorRef<Host.Command>> hosts) {
    if (presence.update(hosts)) {
      onPresentChanged();
    }
  }

  private void onPresentChanged() {
    List<Integer> gone = presence.gone(group);
    String lost = presence.lost(group);
    switch (phase) {
      case GATHERING, REPORTING -> regroup(gone.isEmpty() ? "nodes joined" : lost);
      case PREPARING -> {
        if (!presence.hosts().containsAll(change.hosts().values())) {
          regroup(lost);
        } else {
          regroupAtBoundary("nodes joined");
        }
      }
      case IDLE, TRAINING, EVALUATING, GENERATING, ENDING -> {
        if (gone.stream().anyMatch(node -> !group.isEmpty(node))) {
          regroup(lost);
        } else if (!gone.isEmpty()) {
          // It had nothing, because it was asked to leave say: no reason to disturb a step.
          regroupAtBoundary(lost);
        } else if (presence.count() > group.nodes().size()) {
          regroupAtBoundary("nodes joined");
        }
      }
      case STOPPED -> {}
    }
  }

  /** Has a new epoch begin once the step at hand is committed. */
  private void regroupAtBoundary(String cause) {
    regroupCause = cause;
    if (phase == Phase.IDLE) {
      next();
    }
  }

  private void regroup(String cause) {
    // Looking at disks takes a while, and only who has nothing in memory needs it.
    regroup(cause, group == null);
  }

  private void regroup(String cause, boolean withDisk) {
    regroupCause = null;
    if (presence.hosts().isEmpty()) {
      phase = Phase.GATHERING;
      return;
    }
    if (group != null) {
      progress.interrupted();
    }
    if (checkpoints != null) {
      checkpoints.abandon();
    }
    if (phase == Phase.TRAINING && step.isDecided()) {
      // If all have applied it by the time they report, it is committed after all.
      progress.decided(step.report(now()));
    }
    timers.cancel(RetryCheckpoint.class);
    step = null;
    ending = null;
    boolean planned =
        phase == Phase.GATHERING
            || phase == Phase.IDLE
            || phase == Phase.REPORTING && change.isPlanned();
    epoch++;
    phase = Phase.REPORTING;
    change = new EpochChange(epoch, cause, planned, withDisk, presence.hosts(), hostEvents);
    patience.moved(now());
    LOG.info("epoch={} reporting hosts={} cause={}", epoch, presence.count(), cause);
    change.ask();
  }

  private void onHost(Host.Event event) {
    if (event.epoch() != epoch) {
      return;
    }
    if (isNews(event)) {
      patience.moved(now());
    }
    switch (event) {
      case Host.Reported reported -> onReported(reported);
      case Host.Stale stale -> {
        // A coordinator before this one had got further.
        epoch = Math.max(epoch, stale.newest());
        regroup(change.cause(), change.withDisk());
      }
      case Host.GaveUp gaveUp ->
          regroup((group == null ? "a node" : group.name(gaveUp.node())) + " had stood still");
      case Host.Preparing preparing ->
          LOG.info(
              "epoch={} node={} waits for {}", epoch, preparing.node(), preparing.waitingFor());
      case Host.Prepared prepared -> {
        if (phase == Phase.PREPARING && change.onPrepared(prepared.node())) {
          beginEpoch();
        }
      }
      case Host.Failed failed -> onNodeFailed(failed);
      case Host.Leaving leaving -> onLeaving(leaving.node());
      case Host.MoveAsked move -> move.replyTo().tell(onMove(move));
      case Host.StopAsked stop -> {
        stop.replyTo()
            .tell(new Host.Accepted("the run ends with a checkpoint of the step at hand"));
        onStop();
      }
      case Host.Replicated replicated -> onReplicated(replicated);
      case Host.Bundle bundle -> {
        // Any of them may end the epoch.
        bundle.routers().stream().filter(one -> isAtWork(bundle)).forEach(this::onRouter);
        bundle.experts().stream().filter(one -> isAtWork(bundle)).forEach(this::onExpert);
      }
    }
  }

  /** Whether everybody is in the epoch of an event, and works. */
  private boolean isAtWork(Host.Event event) {
    return event.epoch() == epoch && isAtWork();
  }

  private boolean isAtWork() {
    return switch (phase) {
      case GATHERING, REPORTING, PREPARING, STOPPED -> false;
      case IDLE, TRAINING, EVALUATING, GENERATING, ENDING -> true;
    };
  }

  /** Whether something has moved: who only repeats an answer may wait for ever for another's. */
  private boolean isNews(Host.Event event) {
    return switch (event) {
      case Host.Reported reported -> change.isAwaited(reported);
      case Host.Prepared prepared -> change.isAwaited(prepared);
      case Host.Preparing preparing -> change.isNews(preparing);
      case Host.Replicated replicated -> true;
      case Host.Stale stale -> true;
      case Host.GaveUp gaveUp -> true;
      case Host.Failed failed -> true;
      // What is in a bundle may be news; the others are wishes.
      case Host.Bundle bundle -> false;
      case Host.Leaving leaving -> false;
      case Host.MoveAsked move -> false;
      case Host.StopAsked stop -> false;
    };
  }

  private void onReported(Host.Reported reported) {
    if (phase != Phase.REPORTING || !change.onReported(reported)) {
      return;
    }
    wishes.reported(change.reports().values());
    stopping |= wishes.allLeave();
    if (stopping && group == null && !change.hasBegun()) {
      finish(new Outcome.Stopped(progress.step()));
      return;
    }
    if (!change.hasBegun() && presence.count() < settings.nodes()) {
      phase = Phase.GATHERING;
      return;
    }
    EpochPlan plan =
        EpochPlanner.plan(
            config, epoch, change.inventories(), wishes.placement(change.inventories().keySet()));
    if (plan.step() == 0 && !change.withDisk()) {
      regroup(change.cause(), true);
      return;
    }
    phase = Phase.PREPARING;
    change.planned(plan);
    change.ask();
  }

  private void beginEpoch() {
    boolean first = group == null;
    EpochPlan plan = change.plan();
    group = new Group(plan, change.hosts());
    phase = Phase.IDLE;
    long from = progress.step();
    goOnFrom(plan.step(), first);
    listener.epochBegan(plan, group.name(settings.node()));
    if (change.hasBegun()) {
      String cause = change.cause();
      if (first) {
        tell(new RunEvent.CoordinatorMoved(group.name(settings.node())));
        from = change.newestStep();
        progress.takeOver(from, now() - change.quietMs() * 1_000_000);
        cause = change.lost().isEmpty() ? cause : "lost " + String.join(", ", change.lost());
      }
      tell(new RunEvent.EpochBegan(epoch, cause, progress.step()));
    } else {
      tell(new RunEvent.Began(progress.step(), group.nodeNames()));
    }
    if (progress.step() < from) {
      tell(new RunEvent.RolledBack(progress.step(), from));
    }
    wishes.begin(plan).forEach(this::tell);
    boolean secured = progress.step() == 0 || checkpoints.written() == progress.step();
    replication.restart(progress.step(), group.nodes().size() > 1, secured);
    // However many come, go or move at a boundary: no step has failed by it.
    if (!change.isPlanned() && progress.failed()) {
      fail(
          "step %d was tried %d times, the last time after: %s"
              .formatted(progress.step() + 1, RunProgress.MAX_TRIES, change.cause()),
          "the run's log says what happened each time; resume=true goes on from the last checkpoint");
      return;
    }
    releaseLeaving();
    next();
  }

  /** Everybody is at the step of a plan: before, at or after the newest one that was committed. */
  private void goOnFrom(long from, boolean first) {
    long before = progress.step();
    StepReport finished = progress.goOnFrom(from, now());
    if (first) {
      progress.begin(now());
      checkpoints = new CheckpointProgress(settings.checkpoints(), change.diskStep());
    } else if (from < before) {
      agenda.rolledBack(from);
      checkpoints.rolledBack(from);
    } else if (finished != null) {
      // Everybody had applied the step, only nobody was there to say so.
      agenda.committed(from);
      listener.committed(finished);
    }
  }

  private void onLeaving(int node) {
    if (wishes.leaving(node)) {
      timers.startSingleTimer(Regroup.class, new Regroup(), LEAVING_TOGETHER);
    } else if (isAtWork()) {
      releaseLeaving();
    }
  }

  private void onRegroup() {
    boolean nobodyElse = group == null || presence.count() <= group.nodes().size();
    if (wishes.allLeave() && nobodyElse) {
      onStop();
    } else if (!wishes.leavingNames().isEmpty()) {
      regroupAtBoundary("leaving: " + wishes.leavingNames());
    }
  }

  private void releaseLeaving() {
    wishes.mayGo(group).forEach(node -> group.tell(node, new Host.Release(epoch)));
  }

  private Host.Answer onMove(Host.MoveAsked move) {
    if (!isAtWork() || stopping || phase == Phase.ENDING) {
      return new Host.Refused(
          "training does not go on at this moment", "try again when steps are committed");
    }
    ExpertId expert = new ExpertId(move.layer(), move.expert());
    Host.Refused refused = wishes.move(expert, move.toNode(), group);
    if (refused != null) {
      return refused;
    }
    String cause = "expert " + expert + " moves to " + move.toNode();
    regroupAtBoundary(cause);
    return new Host.Accepted(cause + " after the step at hand");
  }

  // What to do next.

  /** Begins what comes next once nothing is at hand. */
  private void next() {
    if (group == null || phase == Phase.REPORTING || phase == Phase.PREPARING) {
      return;
    }
    phase = Phase.IDLE;
    patience.moved(now());
    if (regroupCause != null) {
      regroup(regroupCause);
      return;
    }
    if (stopping) {
      finishWithCheckpoint(new Outcome.Stopped(progress.step()));
      return;
    }
    switch (agenda.next()) {
      case null -> finishWithCheckpoint(new Outcome.Completed(progress.step()));
      case RunTask.Train train -> nextOfTraining(train);
      case RunTask.Evaluate evaluate -> evaluate(evaluate);
      case RunTask.Generate generate -> generate(generate);
    }
  }

  private void nextOfTraining(RunTask.Train train) {
    if (progress.step() < train.lastStep()) {
      checkpointIfDue();
      replicateIfDue();
      if (!replication.mustWait(progress.step())) {
        beginStep();
      }
    } else {
      agenda.trained();
      beginCheckpoint();
      next();
    }
  }

  private void replicateIfDue() {
    if (replication.isDue(progress.step())) {
      replicate();
    }
  }

  private void replicate() {
    replication.begin(progress.step(), group.nodes());
    group.tellAll(new Host.Replicate(epoch, progress.step()));
  }

  private void onReplicated(Host.Replicated replicated) {
    if (isAtWork()
        && replication.onReplicated(replicated.node(), replicated.step(), progress.step())) {
      group.tellAll(new Host.Keep(epoch, replicated.step()));
      if (phase == Phase.IDLE) {
        next();
      }
    }
  }

  private void checkpointIfDue() {
    if (checkpoints.isDue(config.checkpoint().every(), progress.step()) && !beginCheckpoint()) {
      notice(
          "checkpoint of step %d skipped: earlier ones are still being written"
              .formatted(progress.step()));
    }
  }

  private boolean beginCheckpoint() {
    return checkpoints.begin(epoch, progress.step(), this::collectCheckpoint);
  }

  private void collectCheckpoint() {
    group.tellAll(new Host.Checkpoint(epoch, progress.step(), settings.node()));
  }

  /** Ends once the last committed step is on the disk, or cannot be. */
  private void finishWithCheckpoint(Outcome outcome) {
    phase = Phase.ENDING;
    ending = outcome;
    if (!beginCheckpoint()) {
      timers.startSingleTimer(RetryCheckpoint.class, new RetryCheckpoint(), CHECKPOINT_RETRY);
    } else if (checkpoints.hasEnded(progress.step())) {
      finish(checkpoints.outcome(progress.step(), ending));
    }
  }

  private void onCheckpointEnded(CheckpointEnded ended) {
    if (checkpoints == null || !checkpoints.onEnded(ended)) {
      return;
    }
    if (ended.failure() != null) {
      notice(
          "checkpoint of step %d failed: %s. HINT: %s"
              .formatted(ended.step(), ended.failure(), ended.hint()));
    }
    if (phase == Phase.ENDING && checkpoints.hasEnded(progress.step())) {
      finish(checkpoints.outcome(progress.step(), ending));
    }
  }

  // A step.

  private void beginStep() {
    phase = Phase.TRAINING;
    step = new TrainingStep(config, group, progress.step() + 1, now());
    step.begin(patience.timeout());
  }

  private void onRouter(RouterActor.Event event) {
    switch (event) {
      case RouterActor.Routed routed ->
          inStep(routed.epoch(), routed.step(), () -> step.onRouted(routed));
      case RouterActor.GradientReady ready ->
          inStep(ready.epoch(), ready.step(), () -> step.onReady(ready));
      case RouterActor.Applied applied ->
          inStep(applied.epoch(), applied.step(), () -> step.onApplied(applied));
      case RouterActor.Evaluated evaluated -> onEvaluated(evaluated);
      case RouterActor.Generated generated -> onGenerated(generated);
      case RouterActor.Late late -> onLate(late);
      case RouterActor.Moving moving -> patience.moved(now());
      case RouterActor.Diverged diverged -> onDiverged(diverged);
      case RouterActor.Restarted restarted -> onRouterRestarted(restarted);
    }
  }

  private void onExpert(ExpertActor.Event event) {
    switch (event) {
      case ExpertActor.GradientReady ready ->
          inStep(ready.epoch(), ready.step(), () -> step.onReady(ready));
      case ExpertActor.Applied applied ->
          inStep(applied.epoch(), applied.step(), () -> step.onApplied(applied));
      case ExpertActor.Restarted restarted -> onExpertRestarted(restarted);
    }
  }

  /** Takes a report of the step at hand, which may be the last that was awaited. */
  private void inStep(int ofEpoch, long number, Runnable report) {
    if (phase != Phase.TRAINING || !step.isOf(ofEpoch, number)) {
      return;
    }
    int heard = step.heard();
    report.run();
    if (step.heard() > heard) {
      // Who reports something once more has not moved.
      patience.moved(now());
    }
    if (step.canDecide() && !step.decide()) {
      diverged(step.divergedOwner());
    } else if (step.isCommitted()) {
      commit();
    }
  }

  private void commit() {
    long committedNs = now();
    progress.committed(step.step(), committedNs);
    agenda.committed(step.step());
    StepReport report = step.report(committedNs);
    patience.took(report.stepTimeNs());
    listener.committed(report);
    RunEvent.Recovered recovered = progress.recovered(now());
    if (recovered != null) {
      tell(recovered);
    }
    String rebalance = wishes.committed(report);
    if (rebalance != null) {
      regroupCause = rebalance;
    }
    next();
  }

  // Validation and generation.

  private void evaluate(RunTask.Evaluate task) {
    phase = Phase.EVALUATING;
    inference.evaluate(group, task.batches());
  }

  private void onEvaluated(RouterActor.Evaluated evaluated) {
    if (phase == Phase.EVALUATING && inference.isOf(evaluated.epoch(), evaluated.id())) {
      patience.moved(now());
      EvaluationTally tally = inference.tally();
      if (tally.add(evaluated)) {
        agenda.evaluated();
        listener.evaluated(progress.step(), tally.loss(), tally.tokens());
        next();
      }
    }
  }

  private void generate(RunTask.Generate task) {
    phase = Phase.GENERATING;
    inference.generate(group, task);
  }

  private void onGenerated(RouterActor.Generated generated) {
    if (phase == Phase.GENERATING && inference.isOf(generated.epoch(), generated.id())) {
      agenda.generated();
      listener.generated(generated.tokens());
      next();
    }
  }

  // What goes wrong.

  private void onExpertRestarted(ExpertActor.Restarted restarted) {
    tell(
        new RunEvent.Restarted(
            "layer=" + restarted.layer() + " expert=" + restarted.expert(),
            restarted.incarnation(),
            restarted.cause()));
    patience.moved(now());
    switch (phase) {
      case TRAINING -> step.onRestarted(restarted);
      case EVALUATING, GENERATING -> inference.onRestarted(restarted.layer(), restarted.expert());
      case GATHERING, REPORTING, PREPARING, IDLE, ENDING, STOPPED -> {}
    }
  }

  private void onRouterRestarted(RouterActor.Restarted restarted) {
    String who = "rank=" + restarted.rank();
    tell(new RunEvent.Restarted(who, restarted.incarnation(), restarted.cause()));
    switch (phase) {
      case TRAINING, EVALUATING, GENERATING -> {
        if (phase == Phase.TRAINING && step.isDecided()) {
          step.apply();
        } else if (progress.isLastTry()) {
          fail(
              "%s: %s failed %d times: %s"
                  .formatted(
                      who,
                      phase == Phase.TRAINING
                          ? "step " + (progress.step() + 1)
                          : "an evaluation after step " + progress.step(),
                      RunProgress.MAX_TRIES,
                      restarted.cause()),
              "the run's log has the stack traces; resume=true goes on from the last checkpoint");
        } else {
          regroup(who + " restarted");
        }
      }
      case GATHERING, REPORTING, PREPARING, IDLE, ENDING, STOPPED -> {}
    }
  }

  /**
   * A node cannot go on: the others do, unless it is the second in the same step. Then it is not
   * the node.
   */
  private void onNodeFailed(Host.Failed failed) {
    if (!presence.hosts().contains(failed.host())) {
      return;
    }
    boolean tookPart = group == null || group.nodes().contains(failed.node());
    boolean again = tookPart && progress.hasLostNode();
    if (presence.count() == 1 || again) {
      finish(
          new Outcome.Failed(progress.step(), failed.message(), failed.hint(), failed.isMistake()));
      return;
    }
    if (tookPart) {
      progress.lostNode();
    }
    String name =
        group != null && tookPart ? group.name(failed.node()) : change.name(failed.host());
    doWithout(failed.host(), name, failed.message());
    failed
        .host()
        .tell(
            new Host.Finish(
                new Outcome.Failed(
                    progress.step(),
                    failed.message(),
                    failed.hint() + "; the run goes on on the other nodes",
                    failed.isMistake())));
    regroup(name + " failed");
  }

  private void doWithout(ActorRef<Host.Command> host, String name, String cause) {
    tell(new RunEvent.NodeFailed(name, cause));
    presence.giveUp(host, now());
  }

  /** An epoch cannot begin: without those who keep it from that it may, if they are few. */
  private void doWithoutLate() {
    Set<ActorRef<Host.Command>> late = change.late();
    double seconds = patience.waitedSeconds(now());
    if (late.isEmpty() || 2 * late.size() >= presence.count()) {
      failWaiting();
      return;
    }
    String names = late.stream().map(change::name).sorted().collect(Collectors.joining(", "));
    for (ActorRef<Host.Command> host : late) {
      doWithout(
          host, change.name(host), "nothing has moved for %.0f s because of it".formatted(seconds));
      settings.expel().accept(host);
    }
    regroup("no answer from " + names);
  }

  private void onLate(RouterActor.Late late) {
    if (late.epoch() == epoch && group != null) {
      String who =
          late.expert() < 0
              ? "load of layer=" + late.layer()
              : group.whereIs(late.layer(), late.expert());
      tell(
          new RunEvent.Late(
              who + ", asked again by rank=" + late.rank(), patience.timeout().toMillis() / 1e3));
    }
  }

  private void onDiverged(RouterActor.Diverged diverged) {
    if (diverged.epoch() == epoch) {
      diverged("rank=" + diverged.rank() + " " + diverged.where());
    }
  }

  private void diverged(String where) {
    fail(
        "step " + (progress.step() + 1) + " is not finite: " + where,
        "lower schedule.learning_rate or optimizer.clip; resume=true goes on from the last checkpoint");
  }

  private void onStop() {
    stopping = true;
    // What others trained under another coordinator is not on the disk yet: that takes an epoch.
    boolean nothingToLose =
        phase == Phase.GATHERING || phase == Phase.PREPARING && !change.hasBegun();
    if (group == null && nothingToLose) {
      finish(new Outcome.Stopped(progress.step()));
    } else if (phase == Phase.IDLE) {
      next();
    }
  }

  private void onCheckProgress() {
    boolean waiting =
        switch (phase) {
          case GATHERING, STOPPED -> false;
          case IDLE -> replication.mustWait(progress.step());
          case REPORTING, PREPARING, TRAINING, EVALUATING, GENERATING, ENDING -> true;
        };
    presence.overdue(now()).forEach(settings.expel());
    if (phase == Phase.ENDING && checkpoints.hasMoved()) {
      patience.moved(now());
    }
    if (phase == Phase.GATHERING) {
      giveUpGathering();
    } else if (!waiting) {
      patience.moved(now());
    } else if (patience.isOver(now(), phase == Phase.TRAINING)) {
      onDeadline();
    }
  }

  private void giveUpGathering() {
    double seconds = (now() - patience.lastMoved()) / 1e9;
    if (seconds > config.cluster().joinTimeoutSeconds()) {
      fail(
          "cluster.nodes: %d came within %.0f s (expected: %d)"
              .formatted(presence.count(), seconds, settings.nodes()),
          "start the others, see why they could not join, or lower cluster.nodes");
    }
  }

  private void onDeadline() {
    if (phase == Phase.ENDING) {
      onLateCheckpoint();
      return;
    }
    String missing = missing();
    tell(new RunEvent.Late(missing, patience.waitedSeconds(now())));
    if (!patience.isExhausted()) {
      askAgain();
    } else if (phase == Phase.REPORTING || phase == Phase.PREPARING) {
      doWithoutLate();
    } else if (progress.isLastTry()) {
      failWaiting();
    } else {
      regroup("no answer from " + missing);
    }
  }

  private void failWaiting() {
    fail(
        "nothing has moved for %.0f s in %s of step %d: waiting for %s"
            .formatted(patience.waitedSeconds(now()), phase, progress.step() + 1, missing()),
        "raise cluster.reply_timeout_seconds if a step takes that long; see the run's log");
  }

  /** What was lost on its way to the disk does not come by itself; a disk may be stuck for good. */
  private void onLateCheckpoint() {
    if (!patience.isExhausted()) {
      checkpoints.askAgain(progress.step(), this::collectCheckpoint);
      return;
    }
    finish(checkpoints.giveUp(progress.step(), patience.waitedSeconds(now())));
  }

  private String missing() {
    return switch (phase) {
      case REPORTING, PREPARING -> change.missing();
      case TRAINING -> step.missing();
      case EVALUATING, GENERATING -> inference.missing();
      case IDLE -> replication.missing(group);
      case GATHERING, ENDING, STOPPED -> "nobody";
    };
  }

  /** A message may be lost with a connection; everything may be said twice. */
  private void askAgain() {
    switch (phase) {
      case REPORTING, PREPARING -> change.ask();
      case TRAINING -> step.askAgain(patience.timeout());
      case EVALUATING -> evaluate((RunTask.Evaluate) agenda.next());
      case GENERATING -> generate((RunTask.Generate) agenda.next());
      case IDLE -> replicate(); // As everything is now: what was asked for is gone.
      case GATHERING, ENDING, STOPPED -> {}
    }
  }

  private long now() {
    return settings.nanoTime().getAsLong();
  }

  private void tell(RunEvent event) {
    LOG.info("{}", event);
    listener.happened(event);
  }

  private void notice(String line) {
    LOG.info(line);
    listener.notice(line);
  }

  private void fail(String message, String hint) {
    finish(new Outcome.Failed(progress.step(), message, hint));
  }

  private void finish(Outcome outcome) {
    phase = Phase.STOPPED;
    timers.cancelAll();
    LOG.info("finished outcome={}", outcome);
    try {
      listener.finished(outcome);
    } finally {
      presence.tellAll(new Host.Finish(outcome));
    }
  }

  /** Stopped by its node, not by the end of the run: another one goes on. */
  private Behavior<Command> onPostStop() {
    if (phase != Phase.STOPPED) {
      phase = Phase.STOPPED;
      listener.handedOver();
    }
    return Behaviors.same();
  }
}
