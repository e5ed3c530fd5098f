package troupe.coordinator;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.List;
import java.util.Queue;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.config.RunConfig;
import troupe.core.optim.LearningRate;
import troupe.core.tensor.AdamWStep;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/**
 * Decides what everybody does next: which step, with what learning rate and clipping, when to
 * validate and when to write a checkpoint.
 *
 * <pre>
 *   IDLE:       task to train        -> COLLECTING  (Step to all routers)
 *   COLLECTING: Routed of all ranks  -> COLLECTING  (Load of the layer to all routers)
 *   COLLECTING: GradientReady of all -> APPLYING    (the step is decided: Apply to all)
 *   APPLYING:   Applied of all       -> IDLE        (the step is committed)
 *   IDLE:       task to evaluate     -> EVALUATING  -> IDLE
 *   IDLE:       task to generate     -> GENERATING  -> IDLE
 *   any:        divergence, an owner that stopped, or no progress for {@value #MAX_IDLE_CHECKS} reply timeouts -> STOPPED (Failed)
 * </pre>
 *
 * A step is decided only when every owner has its gradient, and a decided step is always finished:
 * whoever is restarted in the middle is told to apply again. An owner restarted before the decision
 * is helped to catch up: routers send an expert its batches again; for a router the whole step
 * begins anew in the next epoch.
 */
public final class Coordinator {
  /** What the coordinator is told. */
  public sealed interface Command
      permits FromRouter,
          FromExpert,
          Start,
          Stop,
          CheckpointEnded,
          OwnerStopped,
          CheckProgress,
          RetryCheckpoint {}

  /** An event of a router. */
  public record FromRouter(RouterActor.Event event) implements Command {}

  /** An event of an expert. */
  public record FromExpert(ExpertActor.Event event) implements Command {}

  /** All owners are there: begin. */
  public record Start(Owners owners) implements Command {}

  /** Finish the step at hand, write a checkpoint and end. */
  public record Stop() implements Command {}

  /**
   * A checkpoint that was begun is on the disk, or is not.
   *
   * @param failure why it is not, in one line; {@code null} if it is
   */
  public record CheckpointEnded(long step, String failure, String hint) implements Command {}

  /** A router or expert has stopped for good. */
  record OwnerStopped(String name) implements Command {}

  /** The reply deadline has come round. */
  record CheckProgress() implements Command {}

  /** The checkpoint writer was busy; try again. */
  record RetryCheckpoint() implements Command {}

  /** Everyone who owns parameters. */
  public interface Owners {
    /** All routers, by rank. */
    List<ActorRef<RouterActor.Command>> routers();

    /** All experts, in any order. */
    List<ActorRef<ExpertActor.Command>> experts();

    /** One expert. */
    ActorRef<ExpertActor.Command> expert(int layer, int expert);

    /** Makes the data plane drop what is from another epoch. */
    void epoch(int epoch);
  }

  /** Asks owners for snapshots and sees to it that they are written. */
  public interface Checkpoints {
    /** For runs that keep nothing, such as benchmarks. */
    Checkpoints NONE = (epoch, step, owners) -> Begun.UNWANTED;

    /** What became of a request. */
    enum Begun {
      /** {@link CheckpointEnded} will say how it ends. */
      STARTED,
      /** Earlier ones are still being written; ask again. */
      BUSY,
      /** Nothing is to be kept. */
      UNWANTED
    }

    /** Begins the checkpoint of the committed {@code step}. */
    Begun begin(int epoch, long step, Owners owners);
  }

  /**
   * What the coordinator is given at birth.
   *
   * @param committedStep the step that the owners' parameters are the result of
   * @param tasks what to do, in order
   * @param nanoTime the clock of step times
   */
  public record Settings(
      RunConfig config,
      int epoch,
      long committedStep,
      List<RunTask> tasks,
      Checkpoints checkpoints,
      RunListener listener,
      LongSupplier nanoTime) {}

  private enum Phase {
    IDLE,
    COLLECTING,
    APPLYING,
    EVALUATING,
    GENERATING,
    ENDING,
    STOPPED
  }

  private static final Logger LOG = LoggerFactory.getLogger(Coordinator.class);

  /** Reply timeouts without any event before a run is given up; routers ask again at each. */
  private static final int MAX_IDLE_CHECKS = 3;

  /** How soon to ask a busy checkpoint writer again. */
  private static final Duration CHECKPOINT_RETRY = Duration.ofMillis(100);

  /**
   * Evaluations and generations number their passes from here up, so that no step has the same
   * number.
   */
  private static final long FIRST_EVALUATION_ID = 1L << 40;

  /** Most passes of one evaluation or generation. */
  private static final long EVALUATION_IDS = 1L << 24;

  private final ActorContext<Command> context;
  private final TimerScheduler<Command> timers;
  private final Settings settings;
  private final RunConfig config;
  private final Queue<RunTask> tasks;
  private Owners owners;
  private Phase phase = Phase.IDLE;
  private int epoch;
  private long committedStep;
  private final CheckpointProgress checkpoints;
  private long evaluationId = FIRST_EVALUATION_ID;
  private boolean stopping;
  private Outcome ending;
  private boolean validationDue;
  private StepTally tally;
  private EvaluationTally evaluation;
  private AdamWStep decided;
  private long stepBeganNs;
  private long events;
  private long eventsAtLastCheck;
  private int idleChecks;

  private Coordinator(
      ActorContext<Command> context, TimerScheduler<Command> timers, Settings settings) {
    this.context = context;
    this.timers = timers;
    this.settings = settings;
    this.config = settings.config();
    this.tasks = new ArrayDeque<>(settings.tasks());
    this.epoch = settings.epoch();
    this.committedStep = settings.committedStep();
    this.checkpoints = new CheckpointProgress(settings.checkpoints(), committedStep);
    timers.startTimerWithFixedDelay(
        new CheckProgress(),
        Duration.ofNanos((long) (config.cluster().replyTimeoutSeconds() * 1e9)));
  }

  /** A coordinator that waits for {@link Start}. */
  public static Behavior<Command> create(Settings settings) {
    return Behaviors.setup(
        context ->
            Behaviors.withTimers(
                timers ->
                    Behaviors.receive(Command.class)
                        .onAnyMessage(new Coordinator(context, timers, settings)::onCommand)
                        .build()));
  }

  private Behavior<Command> onCommand(Command command) {
    if (phase == Phase.STOPPED) {
      return Behaviors.same();
    }
    try {
      obey(command);
    } catch (RuntimeException e) {
      // Nobody supervises the coordinator: without this its run would wait for it for ever.
      LOG.error("coordinator failed step={}", committedStep + 1, e);
      fail(
          "coordinator: " + e,
          "the run's log has the stack trace; resume=true goes on from the last checkpoint");
    }
    return Behaviors.same();
  }

  private void obey(Command command) {
    switch (command) {
      case Start start -> onStart(start.owners());
      case FromRouter from -> onRouter(from.event());
      case FromExpert from -> onExpert(from.event());
      case Stop stop -> onStop();
      case OwnerStopped stopped ->
          fail(
              stopped.name() + " stopped after repeated failures",
              "the run's log has the stack traces; resume=true goes on from the last checkpoint");
      case CheckProgress check -> onCheckProgress();
      case CheckpointEnded ended -> onCheckpointEnded(ended);
      case RetryCheckpoint retry -> next();
    }
  }

  private void onStart(Owners all) {
    owners = all;
    owners.routers().forEach(this::watch);
    owners.experts().forEach(this::watch);
    next();
  }

  private void watch(ActorRef<?> owner) {
    context.watchWith(owner, new OwnerStopped(owner.path().name()));
  }

  /** Begins what comes next once nothing is at hand. */
  private void next() {
    phase = Phase.IDLE;
    if (stopping) {
      finishWithCheckpoint(new Outcome.Stopped(committedStep));
      return;
    }
    RunTask task = tasks.peek();
    switch (task) {
      case null -> finishWithCheckpoint(new Outcome.Completed(committedStep));
      case RunTask.Train train -> nextOfTraining(train);
      case RunTask.Evaluate evaluate -> {
        tasks.remove();
        evaluate(evaluate.batches());
      }
      case RunTask.Generate generate -> {
        tasks.remove();
        generate(generate);
      }
    }
  }

  private void nextOfTraining(RunTask.Train train) {
    if (validationDue) {
      validationDue = false;
      evaluate(config.evaluate().batches());
    } else if (committedStep < train.lastStep()) {
      checkpointIfDue();
      beginStep();
    } else {
      tasks.remove();
      beginCheckpoint();
      next();
    }
  }

  private void checkpointIfDue() {
    if (checkpoints.isDue(config.checkpoint().every(), committedStep) && !beginCheckpoint()) {
      notice(
          "checkpoint of step %d skipped: earlier ones are still being written"
              .formatted(committedStep));
    }
  }

  private boolean beginCheckpoint() {
    return checkpoints.begin(epoch, committedStep, owners);
  }

  /** Ends once the last committed step is on the disk, or cannot be. */
  private void finishWithCheckpoint(Outcome outcome) {
    phase = Phase.ENDING;
    ending = outcome;
    if (!beginCheckpoint()) {
      timers.startSingleTimer(new RetryCheckpoint(), CHECKPOINT_RETRY);
    } else if (checkpoints.hasEnded(committedStep)) {
      finish(outcome);
    }
  }

  private void onCheckpointEnded(CheckpointEnded ended) {
    checkpoints.onEnded(ended);
    if (ended.failure() != null) {
      notice(
          "checkpoint of step %d failed: %s. HINT: %s"
              .formatted(ended.step(), ended.failure(), ended.hint()));
    }
    if (phase != Phase.ENDING || !checkpoints.hasEnded(committedStep)) {
      return;
    }
    if (checkpoints.written() == committedStep) {
      finish(ending);
    } else {
      fail(
          "step %d is not on the disk: %s; the newest checkpoint is that of step %d"
              .formatted(committedStep, ended.failure(), checkpoints.written()),
          ended.hint());
    }
  }

  private void beginStep() {
    phase = Phase.COLLECTING;
    stepBeganNs = settings.nanoTime().getAsLong();
    tally = new StepTally(config, committedStep + 1);
    tellRouters(new RouterActor.Step(epoch, tally.step()));
  }

  private void onRouter(RouterActor.Event event) {
    if (!(event instanceof RouterActor.Late)) {
      events++; // Whoever is late has not moved.
    }
    switch (event) {
      case RouterActor.Routed routed -> onRouted(routed);
      case RouterActor.GradientReady ready -> {
        if (isCurrent(ready.epoch(), ready.step())) {
          tally.ready(ready);
          decideIfReady();
        }
      }
      case RouterActor.Applied applied -> {
        if (isCurrent(applied.epoch(), applied.step())) {
          tally.applied(applied);
          commitIfApplied();
        }
      }
      case RouterActor.Evaluated evaluated -> onEvaluated(evaluated);
      case RouterActor.Generated generated -> onGenerated(generated);
      case RouterActor.Late late -> onLate(late);
      case RouterActor.Moving moving -> {}
      case RouterActor.Diverged diverged -> onDiverged(diverged);
      case RouterActor.Restarted restarted -> onRouterRestarted(restarted);
    }
  }

  private void onExpert(ExpertActor.Event event) {
    events++;
    switch (event) {
      case ExpertActor.GradientReady ready -> {
        if (isCurrent(ready.epoch(), ready.step())) {
          tally.ready(ready);
          if (phase == Phase.APPLYING) {
            owners
                .expert(ready.layer(), ready.expert())
                .tell(new ExpertActor.Apply(epoch, decided));
          } else {
            decideIfReady();
          }
        }
      }
      case ExpertActor.Applied applied -> {
        if (isCurrent(applied.epoch(), applied.step())) {
          tally.applied(applied);
          commitIfApplied();
        }
      }
      case ExpertActor.Restarted restarted -> onExpertRestarted(restarted);
    }
  }

  private boolean isCurrent(int eventEpoch, long step) {
    return eventEpoch == epoch
        && tally != null
        && tally.step() == step
        && (phase == Phase.COLLECTING || phase == Phase.APPLYING);
  }

  private void onRouted(RouterActor.Routed routed) {
    if (!isCurrent(routed.epoch(), routed.step())) {
      return;
    }
    double[] load_E = tally.routed(routed);
    if (load_E != null) {
      tellRouters(new RouterActor.Load(epoch, tally.step(), routed.layer(), load_E));
    }
  }

  private void decideIfReady() {
    if (phase != Phase.COLLECTING || !tally.allReady()) {
      return;
    }
    double norm = tally.gradNorm();
    if (!Double.isFinite(norm)) {
      diverged(tally.divergedOwner());
      return;
    }
    double clip = config.optimizer().clip();
    // PyTorch's clip_grad_norm_, its epsilon included.
    double scale = clip > 0 ? Math.min(1, clip / (norm + 1e-6)) : 1;
    decided =
        new AdamWStep(
            learningRate(),
            config.optimizer().beta1(),
            config.optimizer().beta2(),
            config.optimizer().epsilon(),
            tally.step(),
            scale);
    phase = Phase.APPLYING;
    apply();
  }

  private double learningRate() {
    return LearningRate.at(config.schedule(), tally.step(), config.train().steps());
  }

  private void apply() {
    tellExperts(new ExpertActor.Apply(epoch, decided));
    tellRouters(new RouterActor.Apply(epoch, decided));
  }

  private void commitIfApplied() {
    if (phase != Phase.APPLYING || !tally.allApplied()) {
      return;
    }
    committedStep = tally.step();
    int every = config.evaluate().every();
    validationDue =
        every > 0 && (committedStep % every == 0 || committedStep == config.train().steps());
    settings
        .listener()
        .committed(
            tally.report(decided.learningRate(), settings.nanoTime().getAsLong() - stepBeganNs));
    next();
  }

  private void evaluate(int batches) {
    phase = Phase.EVALUATING;
    evaluation = new EvaluationTally(nextEvaluationId(), config.train().ranks());
    tellRouters(new RouterActor.Evaluate(epoch, evaluation.id(), batches));
  }

  private void onEvaluated(RouterActor.Evaluated evaluated) {
    if (phase != Phase.EVALUATING
        || evaluated.epoch() != epoch
        || evaluated.id() != evaluation.id()
        || !evaluation.add(evaluated)) {
      return;
    }
    settings.listener().evaluated(committedStep, evaluation.loss(), evaluation.tokens());
    next();
  }

  private void generate(RunTask.Generate task) {
    phase = Phase.GENERATING;
    owners
        .routers()
        .getFirst()
        .tell(
            new RouterActor.Generate(
                epoch,
                nextEvaluationId(),
                task.prompt(),
                task.count(),
                task.stop(),
                task.sampling()));
  }

  private void onGenerated(RouterActor.Generated generated) {
    if (phase == Phase.GENERATING && generated.epoch() == epoch) {
      settings.listener().generated(generated.tokens());
      next();
    }
  }

  private long nextEvaluationId() {
    evaluationId += EVALUATION_IDS;
    return evaluationId;
  }

  private void onExpertRestarted(ExpertActor.Restarted restarted) {
    notice(
        "layer=%d expert=%d restarted incarnation=%d cause=%s"
            .formatted(
                restarted.layer(), restarted.expert(), restarted.incarnation(), restarted.cause()));
    boolean hasGradient = tally != null && restarted.gradientStep() == tally.step();
    if (phase == Phase.APPLYING && hasGradient) {
      owners
          .expert(restarted.layer(), restarted.expert())
          .tell(new ExpertActor.Apply(epoch, decided));
    } else if (phase != Phase.IDLE && phase != Phase.ENDING) {
      tellRouters(new RouterActor.Resend(epoch, restarted.layer(), restarted.expert()));
    }
  }

  private void onRouterRestarted(RouterActor.Restarted restarted) {
    notice(
        "rank=%d restarted incarnation=%d cause=%s"
            .formatted(restarted.rank(), restarted.incarnation(), restarted.cause()));
    switch (phase) {
      case APPLYING -> apply();
      case COLLECTING -> {
        beginEpoch();
        beginStep();
      }
      case EVALUATING, GENERATING ->
          fail(
              "rank=" + restarted.rank() + " failed in evaluation: " + restarted.cause(),
              "the run's log has the stack trace");
      case IDLE, ENDING, STOPPED -> {}
    }
  }

  private void beginEpoch() {
    epoch++;
    owners.epoch(epoch);
    tellExperts(new ExpertActor.BeginEpoch(epoch));
    tellRouters(new RouterActor.BeginEpoch(epoch));
  }

  private void onLate(RouterActor.Late late) {
    if (late.epoch() == epoch) {
      notice(
          late.expert() < 0
              ? "rank=%d waits for the load of layer=%d".formatted(late.rank(), late.layer())
              : "rank=%d waits for layer=%d expert=%d: asked again"
                  .formatted(late.rank(), late.layer(), late.expert()));
    }
  }

  private void onDiverged(RouterActor.Diverged diverged) {
    if (diverged.epoch() == epoch) {
      diverged("rank=" + diverged.rank() + " " + diverged.where());
    }
  }

  private void diverged(String where) {
    fail(
        "step " + (committedStep + 1) + " is not finite: " + where,
        "lower schedule.learning_rate or optimizer.clip; resume=true goes on from the last checkpoint");
  }

  private void onStop() {
    stopping = true;
    if (phase == Phase.IDLE && owners != null) {
      next();
    }
  }

  private void onCheckProgress() {
    boolean moved = events != eventsAtLastCheck || phase == Phase.IDLE || phase == Phase.ENDING;
    eventsAtLastCheck = events;
    idleChecks = moved ? 0 : idleChecks + 1;
    if (idleChecks == MAX_IDLE_CHECKS) {
      String missing = tally == null ? "the first answer" : tally.missing(phase == Phase.APPLYING);
      fail(
          "nothing has moved for %.0f s in %s of step %d: waiting for %s"
              .formatted(
                  idleChecks * config.cluster().replyTimeoutSeconds(),
                  phase,
                  committedStep + 1,
                  missing),
          "raise cluster.reply_timeout_seconds if a step takes that long; see the run's log");
    }
  }

  private void tellRouters(RouterActor.Command command) {
    owners.routers().forEach(router -> router.tell(command));
  }

  private void tellExperts(ExpertActor.Command command) {
    owners.experts().forEach(expert -> expert.tell(command));
  }

  private void notice(String line) {
    LOG.info(line);
    settings.listener().notice(line);
  }

  private void fail(String message, String hint) {
    finish(new Outcome.Failed(committedStep, message, hint));
  }

  private void finish(Outcome outcome) {
    phase = Phase.STOPPED;
    timers.cancelAll();
    LOG.info("finished outcome={}", outcome);
    settings.listener().finished(outcome);
  }
}
