package troupe.expert;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.PostStop;
import akka.actor.typed.PreRestart;
import akka.actor.typed.SupervisorStrategy;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import java.time.Duration;
import java.util.function.IntUnaryOperator;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;
import troupe.core.config.Fault;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.DType;
import troupe.core.tensor.Readback;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.expert.network.ExpertStep;
import troupe.expert.network.TensorPayload;
import troupe.transport.BatchHeader;
import troupe.transport.Phase;
import troupe.transport.Transport;

/**
 * One expert of one layer, pinned to a device.
 *
 * <pre>
 *   IDLE:    first forward batch of the next step  -> WORKING
 *   WORKING: batch                                 -> WORKING   (answers; reports GradientReady when all are in)
 *   WORKING: Apply                                 -> IDLE      (commits the step, reports Applied)
 *   any:     exception                             -> IDLE      (a new incarnation over the committed state, reports Restarted)
 *   any:     one that another incarnation would meet again -> stopped
 * </pre>
 *
 * The committed state lives outside, in {@link ExpertState}; an incarnation owns only the work of
 * the step at hand, so losing it loses nothing that routers cannot send again. Batches of another
 * epoch or step are dropped.
 */
public final class ExpertActor {
  /** What an expert is told. */
  public sealed interface Command
      permits Deliver, Apply, TakeSnapshot, Accumulate, SumSquares, NormKnown, RetrySend {}

  /** A batch has arrived. The expert owns the rows now. */
  public record Deliver(BatchHeader header, TensorPayload rows) implements Command {}

  /** Step {@code hyper.step()} is decided: update the parameters. May be repeated. */
  public record Apply(int epoch, AdamWStep hyper) implements Command {}

  /** Copy the committed state for a checkpoint. */
  public record TakeSnapshot(Snapshot snapshot) implements Command {}

  /** Weight gradients that nobody waits for can be summed. */
  record Accumulate() implements Command {}

  /** The squares of a step's gradient can be summed. */
  record SumSquares(long step) implements Command {}

  /** The device has summed the squares of a step's gradient. */
  record NormKnown(long step, Readback squaredNorm) implements Command {}

  /** The transport had no room; try again. */
  record RetrySend() implements Command {}

  /** What an expert tells its coordinator. */
  public sealed interface Event permits GradientReady, Applied, Restarted {
    /** The layer of the expert. */
    int layer();

    /** Its index in the layer. */
    int expert();
  }

  /** All weight gradients of the step are summed. */
  public record GradientReady(int epoch, long step, int layer, int expert, double squaredNorm)
      implements Event {}

  /** The step is committed. */
  public record Applied(int epoch, long step, int layer, int expert) implements Event {}

  /**
   * A new incarnation works over the committed state; batches of the step at hand have to be sent
   * again.
   *
   * @param gradientStep the step whose gradient survived, or -1
   * @param cause the message of what the last incarnation threw
   */
  public record Restarted(int layer, int expert, int incarnation, long gradientStep, String cause)
      implements Event {}

  /** Receives copies of the committed state; see the checkpoint writer. */
  @FunctionalInterface
  public interface Snapshot {
    /** Copies what it needs before it returns. */
    void take(ExpertState state);
  }

  /**
   * What an expert is given at birth.
   *
   * @param runId stamped on every batch
   * @param epoch the epoch it works in, to its end
   * @param ranks number of ranks that send batches
   * @param microBatches micro-batches of each rank in a step
   * @param transport the data plane
   * @param nodeOfRank where each rank lives
   * @param faults exceptions to throw on purpose
   * @param events where {@link Event}s go
   */
  public record Settings(
      long runId,
      int epoch,
      int ranks,
      int microBatches,
      Transport transport,
      IntUnaryOperator nodeOfRank,
      FaultPlan faults,
      ActorRef<Event> events) {}

  private static final Logger LOG = LoggerFactory.getLogger(ExpertActor.class);

  /**
   * How soon to offer a batch again: long against a poll of the transport, short against a step.
   */
  private static final Duration RETRY = Duration.ofMillis(1);

  /** A fault that returns this often within {@link #RESTART_WINDOW} is not transient. */
  private static final int MAX_RESTARTS = 5;

  private static final Duration RESTART_WINDOW = Duration.ofMinutes(1);

  private final ActorRef<Command> self;
  private final TimerScheduler<Command> timers;
  private final Settings settings;
  private final ExpertState state;
  private final Outbox outbox;
  private ExpertStep work;

  private ExpertActor(
      ActorRef<Command> self,
      TimerScheduler<Command> timers,
      Settings settings,
      ExpertState state) {
    this.self = self;
    this.timers = timers;
    this.settings = settings;
    this.state = state;
    this.outbox = new Outbox(settings.transport());
  }

  /** An expert over {@code state}, restarted from it when it throws. */
  public static Behavior<Command> create(Settings settings, ExpertState state) {
    Behavior<Command> incarnation =
        Behaviors.setup(
            context ->
                Behaviors.withTimers(
                    timers -> new ExpertActor(context.getSelf(), timers, settings, state).start()));
    return Behaviors.supervise(incarnation)
        .onFailure(
            Exception.class,
            SupervisorStrategy.restart()
                // The stack trace goes to the run's log; the coordinator tells the user.
                .withLogLevel(Level.INFO)
                .withLimit(MAX_RESTARTS, RESTART_WINDOW));
  }

  private Behavior<Command> start() {
    int incarnation = state.incarnations().begin(settings.epoch());
    if (incarnation > 1) {
      LOG.info(
          "layer={} expert={} restarted incarnation={} step={}",
          state.layer(),
          state.expert(),
          incarnation,
          state.owned().committedStep() + 1);
      settings
          .events()
          .tell(
              new Restarted(
                  state.layer(),
                  state.expert(),
                  incarnation,
                  state.gradientStep(),
                  state.incarnations().lastCause()));
      if (state.gradientStep() == state.owned().committedStep() + 1) {
        reportGradient();
      }
    }
    return running();
  }

  private Behavior<Command> running() {
    return Behaviors.receive(Command.class)
        .onAnyMessage(this::onCommand)
        .onSignal(PreRestart.class, signal -> onEnd())
        .onSignal(PostStop.class, signal -> onEnd())
        .build();
  }

  private Behavior<Command> onCommand(Command command) {
    try {
      // Experts of a layer have nothing to do with each other.
      state.device().concurrently(state.expert(), () -> handle(command));
    } catch (RuntimeException e) {
      if (state.incarnations().failed(e)) {
        throw e;
      }
      LOG.info("layer={} expert={} gives up", state.layer(), state.expert(), e);
      return Behaviors.stopped();
    }
    return Behaviors.same();
  }

  private void handle(Command command) {
    switch (command) {
      case Deliver deliver -> onDeliver(deliver.header(), deliver.rows().on(state.device()));
      case Apply apply -> onApply(apply);
      case TakeSnapshot take -> take.snapshot().take(state);
      case Accumulate accumulate -> accumulate();
      case SumSquares sum -> onSumSquares(sum);
      case NormKnown known -> onNorm(known);
      case RetrySend retry -> retryIfWaiting(outbox.flush());
    }
  }

  private void onDeliver(BatchHeader header, TensorPayload rows) {
    if (header.epoch() != epoch()) {
      drop(header, rows, "epoch");
      return;
    }
    switch (header.phase()) {
      case EVALUATE -> onEvaluate(header, rows);
      case FORWARD -> onForward(header, rows);
      case BACKWARD -> onBackward(header, rows);
      case OUTPUT, INPUT_GRADIENT, TRUNK_GRADIENT, TRUNK_PARAMETERS, REPLICA, RESTORE, CHECKPOINT ->
          drop(header, rows, "phase");
    }
  }

  private void onEvaluate(BatchHeader header, TensorPayload rows) {
    Tensor y = ExpertStep.evaluate(state, rows.tensor());
    rows.release();
    reply(header, Phase.OUTPUT, y);
  }

  private void onForward(BatchHeader header, TensorPayload rows) {
    if (header.step() != state.owned().committedStep() + 1) {
      drop(header, rows, "step");
      return;
    }
    if (work == null) {
      work = new ExpertStep(state, header.step(), settings.ranks(), settings.microBatches());
    }
    strike(header, rows, Fault.Phase.FORWARD);
    reply(header, Phase.OUTPUT, work.forward(header.rank(), header.microBatch(), rows));
  }

  private void onBackward(BatchHeader header, TensorPayload rows) {
    if (work == null
        || header.step() != state.owned().committedStep() + 1
        || !work.hasForward(header.rank(), header.microBatch())) {
      drop(header, rows, "step");
      return;
    }
    strike(header, rows, Fault.Phase.BACKWARD);
    reply(header, Phase.INPUT_GRADIENT, work.backward(header.rank(), header.microBatch(), rows));
    if (state.device().isHostMemory()) {
      accumulate();
    } else {
      // Behind what other experts of this device have to answer: a queue of the device has no other
      // way to let that pass, and a rank on another device waits for it.
      self.tell(new Accumulate());
    }
  }

  private void accumulate() {
    if (work == null || !work.accumulate()) {
      return;
    }
    if (state.device().isHostMemory()) {
      reportGradient();
    } else {
      // Behind the weight gradients of other experts: they are done together, unless something has
      // to come after one of them.
      self.tell(new SumSquares(state.gradientStep()));
    }
  }

  private void onSumSquares(SumSquares sum) {
    if (sum.step() == state.gradientStep()) {
      reportGradient();
    }
  }

  private void onApply(Apply apply) {
    long step = apply.hyper().step();
    if (apply.epoch() != epoch() || step > state.owned().committedStep() + 1) {
      return;
    }
    if (step == state.owned().committedStep() + 1) {
      if (state.gradientStep() != step) {
        // The incarnation that had the gradient is gone; the coordinator repeats Apply after the
        // next GradientReady.
        return;
      }
      state
          .owned()
          .apply(
              state.gradients().flat(),
              apply.hyper(),
              () ->
                  settings.faults().strike(step, state.layer(), state.expert(), Fault.Phase.APPLY));
      endStep();
    }
    settings.events().tell(new Applied(epoch(), step, state.layer(), state.expert()));
  }

  /** Reports the gradient once its norm is known: no device waits for the host to have read it. */
  private void reportGradient() {
    NormKnown known = new NormKnown(state.gradientStep(), state.squaredNorm());
    if (known.squaredNorm().isDone()) {
      onNorm(known);
    } else {
      known.squaredNorm().whenDone(() -> self.tell(known));
    }
  }

  private void onNorm(NormKnown known) {
    if (known.step() == state.gradientStep()) {
      settings
          .events()
          .tell(
              new GradientReady(
                  epoch(),
                  known.step(),
                  state.layer(),
                  state.expert(),
                  known.squaredNorm().values()[0]));
    }
  }

  private void strike(BatchHeader header, TensorPayload rows, Fault.Phase phase) {
    try {
      settings.faults().strike(header.step(), state.layer(), state.expert(), phase);
    } catch (FaultPlan.InjectedFault fault) {
      rows.release();
      throw fault;
    }
  }

  private void reply(BatchHeader request, Phase phase, Tensor rows) {
    DType dtype = rows.dtype();
    BatchHeader header =
        new BatchHeader(
            settings.runId(),
            epoch(),
            request.step(),
            request.layer(),
            request.microBatch(),
            request.rank(),
            request.expert(),
            phase,
            dtype.code(),
            rows.rows(),
            rows.columns());
    retryIfWaiting(
        outbox.send(
            settings.nodeOfRank().applyAsInt(request.rank()), header, TensorPayload.given(rows)));
  }

  private void retryIfWaiting(boolean empty) {
    if (!empty) {
      timers.startSingleTimer(RetrySend.class, new RetrySend(), RETRY);
    }
  }

  private void drop(BatchHeader header, TensorPayload rows, String cause) {
    LOG.debug(
        "layer={} expert={} dropped={} cause={}", state.layer(), state.expert(), header, cause);
    rows.release();
  }

  private void endStep() {
    if (work != null) {
      work.close();
      work = null;
    }
  }

  private int epoch() {
    return state.incarnations().epoch();
  }

  private Behavior<Command> onEnd() {
    outbox.close();
    endStep();
    return Behaviors.same();
  }
}
