package troupe.router;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.PostStop;
import akka.actor.typed.PreRestart;
import akka.actor.typed.SupervisorStrategy;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SortedMap;
import java.util.function.IntConsumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.slf4j.event.Level;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Readback;
import troupe.expert.network.TensorPayload;
import troupe.router.pass.DivergedException;
import troupe.router.pass.DrawsSource;
import troupe.router.pass.RankPass;
import troupe.router.trunk.LayerStats;
import troupe.router.trunk.MicroBatch;
import troupe.router.trunk.RankState;
import troupe.transport.BatchHeader;
import troupe.transport.Transport;

/**
 * The router of one rank: runs the trunk over the rank's micro-batches, gates their tokens, sends
 * them to experts and combines what comes back.
 *
 * <pre>
 *   IDLE:       Step                        -> PASSING     (training pass)
 *   IDLE:       Evaluate, Generate          -> PASSING     (forward alone)
 *   PASSING:    answer of an expert, Load   -> PASSING     (runs the pieces that can run)
 *   PASSING:    backward of a layer is over -> PASSING     (sends each rank its segments of the trunk's gradient)
 *   PASSING:    segments of other ranks     -> PASSING     (sums them in rank order)
 *   PASSING:    training pass finished      -> REDUCING
 *   REDUCING:   segments of all ranks       -> REDUCED     (reports GradientReady)
 *   REDUCED:    Apply                       -> GATHERING   (updates its slice, sends it to all ranks)
 *   GATHERING:  slices of all ranks         -> IDLE        (reports Applied)
 *   any:        exception                   -> IDLE        (forgets the step at hand)
 * </pre>
 *
 * What was sent in a step is kept until the next one begins, so that it can be sent again. Batches
 * of another epoch or step are dropped.
 */
public final class RouterActor {
  /** What a router is told. */
  public sealed interface Command
      permits Step,
          Load,
          Apply,
          Resend,
          Evaluate,
          Generate,
          TakeSnapshot,
          Deliver,
          CheckProgress,
          NormKnown,
          RetrySend {}

  /**
   * Run the forward and backward pass of a step.
   *
   * @param replyTimeout how long to wait for an answer before asking again
   */
  public record Step(int epoch, long step, Duration replyTimeout) implements Command {}

  /**
   * The load of some layers over all ranks, by layer. Nothing in it is written to once sent.
   *
   * @param load_LE share of tokens that each expert of each layer was chosen for
   */
  public record Load(int epoch, long step, SortedMap<Integer, double[]> load_LE)
      implements Command {}

  /** Step {@code hyper.step()} is decided: update the parameters. May be repeated. */
  public record Apply(int epoch, AdamWStep hyper) implements Command {}

  /** An expert has lost the batches of the step at hand. */
  public record Resend(int epoch, int layer, int expert) implements Command {}

  /** Compute the loss of this rank's share of {@code count} validation batches. */
  public record Evaluate(int epoch, long id, int count) implements Command {}

  /**
   * Continue a prompt.
   *
   * @param prompt tokens, at least one; not written to once sent
   * @param count tokens to generate
   * @param stop token that ends the text, or -1
   */
  public record Generate(int epoch, long id, int[] prompt, int count, int stop, Sampling sampling)
      implements Command {}

  /** Copy the committed state for a checkpoint. */
  public record TakeSnapshot(Snapshot snapshot) implements Command {}

  /** A batch has arrived. The router owns the rows now. */
  public record Deliver(BatchHeader header, TensorPayload rows) implements Command {}

  /** The reply deadline has come round. */
  record CheckProgress() implements Command {}

  /** The transport had no room; try again. */
  record RetrySend() implements Command {}

  /** The device has summed the squares of the gradient of a step. */
  record NormKnown(long step, Readback squaredNorm) implements Command {}

  /** What a router tells its coordinator. */
  public sealed interface Event
      permits Routed,
          GradientReady,
          Applied,
          Evaluated,
          Generated,
          Moving,
          Late,
          Diverged,
          Restarted {
    /** The rank of the router. */
    int rank();
  }

  /** The gate has seen all tokens of a layer. */
  public record Routed(int epoch, long step, int rank, int layer, LayerStats stats)
      implements Event {}

  /**
   * The gradient of the slice that this rank owns is summed. {@code lossSum} is this rank's cross
   * entropy in nats.
   */
  public record GradientReady(int epoch, long step, int rank, double lossSum, double squaredNorm)
      implements Event {}

  /** The step is committed, and this rank has all slices. */
  public record Applied(int epoch, long step, int rank) implements Event {}

  /** This rank's share of a validation. */
  public record Evaluated(int epoch, long id, int rank, double lossSum, long tokens)
      implements Event {}

  /** The prompt and what follows it. The array is not written to once sent. */
  public record Generated(int epoch, long id, int rank, int[] tokens) implements Event {}

  /** Answers have come since the last reply timeout: for passes that take longer than that. */
  public record Moving(int epoch, int rank) implements Event {}

  /** Nothing has moved for a reply timeout; an expert below 0 stands for the coordinator's load. */
  public record Late(int epoch, long step, int rank, int layer, int expert) implements Event {}

  /** Numbers are not finite any more. */
  public record Diverged(int epoch, long step, int rank, String where) implements Event {}

  /** A new incarnation works over the committed state. */
  public record Restarted(int epoch, int rank, int incarnation, String cause) implements Event {}

  /** Receives copies of the committed state; see the checkpoint writer. */
  @FunctionalInterface
  public interface Snapshot {
    /** Copies what it needs before it returns. */
    void take(RankState state);
  }

  /** Where things live. */
  public interface Placement {
    /** The node of an expert. */
    int nodeOfExpert(int layer, int expert);

    /** The node of a rank. */
    int nodeOfRank(int rank);
  }

  /**
   * What a router is given at birth.
   *
   * @param runId stamped on every batch
   * @param epoch the epoch it works in, to its end
   * @param replyTimeout how long to wait for an answer before asking again, until a step says
   *     otherwise
   * @param events where {@link Event}s go
   */
  public record Settings(
      long runId,
      int epoch,
      Duration replyTimeout,
      Transport transport,
      Placement placement,
      BatchSource batches,
      DrawsSource draws,
      ActorRef<Event> events) {}

  private static final Logger LOG = LoggerFactory.getLogger(RouterActor.class);

  /**
   * How soon to offer a batch again: long against a poll of the transport, short against a step.
   */
  private static final Duration RETRY = Duration.ofMillis(1);

  /** A pass forward alone has no gradients. */
  private static final IntConsumer NOTHING_IS_FINAL = layer -> {};

  private static final int MAX_RESTARTS = 3;
  private static final Duration RESTART_WINDOW = Duration.ofMinutes(1);

  private final TimerScheduler<Command> timers;
  private final Settings settings;
  private final RankState state;
  private final BatchSource batches;
  private final RunConfig config;
  private final RouterMail mail;
  private final TrunkExchange trunk;

  /** The pass at hand or, once it is finished, the one whose rows may be asked for again. */
  private RankPass pass;

  private Runnable onPassFinished;
  private Duration replyTimeout;
  private long deliveries;
  private long deliveriesAtLastCheck;

  private RouterActor(
      ActorRef<Command> self, TimerScheduler<Command> timers, Settings settings, RankState state) {
    this.timers = timers;
    this.settings = settings;
    this.state = state;
    this.config = state.config();
    this.batches =
        state.device().isHostMemory()
            ? settings.batches()
            : new PrefetchedBatches(settings.batches());
    this.mail =
        new RouterMail(
            settings,
            state,
            () -> timers.startSingleTimer(RetrySend.class, new RetrySend(), RETRY));
    this.trunk =
        new TrunkExchange(state, mail, (step, norm) -> self.tell(new NormKnown(step, norm)));
    expectAnswersWithin(settings.replyTimeout());
  }

  /** A router over {@code state}, restarted from it when it throws. */
  public static Behavior<Command> create(Settings settings, RankState state) {
    Behavior<Command> incarnation =
        Behaviors.setup(
            context ->
                Behaviors.withTimers(
                    timers -> new RouterActor(context.getSelf(), timers, settings, state).start()));
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
      LOG.info("rank={} restarted incarnation={}", state.rank(), incarnation);
      tell(new Restarted(epoch(), state.rank(), incarnation, state.incarnations().lastCause()));
    }
    return Behaviors.receive(Command.class)
        .onAnyMessage(this::onCommand)
        .onSignal(PreRestart.class, signal -> onRestart())
        .onSignal(PostStop.class, signal -> onStop())
        .build();
  }

  private Behavior<Command> onCommand(Command command) {
    try {
      switch (command) {
        case Step begin -> onStep(begin);
        case Load load -> onLoad(load);
        case Apply apply -> onApply(apply);
        case Resend resend -> onResend(resend);
        case Evaluate evaluate -> onEvaluate(evaluate);
        case Generate generate -> onGenerate(generate);
        case TakeSnapshot take -> take.snapshot().take(state);
        case Deliver deliver -> onDeliver(deliver.header(), deliver.rows().on(state.device()));
        case CheckProgress check -> onCheckProgress();
        case NormKnown known -> trunk.report(known.step(), known.squaredNorm());
        case RetrySend retry -> mail.flush();
      }
    } catch (DivergedException e) {
      tell(new Diverged(epoch(), pass.step(), state.rank(), e.getMessage()));
      endPass();
    } catch (RuntimeException e) {
      if (state.incarnations().failed(e)) {
        throw e;
      }
      LOG.info("rank={} gives up", state.rank(), e);
      return Behaviors.stopped();
    }
    return Behaviors.same();
  }

  private void onStep(Step begin) {
    if (begin.epoch() != epoch()) {
      return;
    }
    boolean repeated = pass != null && pass.step() == begin.step();
    if (repeated || begin.step() <= state.owned().committedStep()) {
      // Asked again. Beginning anew would throw away a gradient that others may have built on: once
      // experts have applied the step they answer for it no more.
      return;
    }
    endPass();
    expectAnswersWithin(begin.replyTimeout());
    long tokensOfRank =
        (long) config.train().batch() / config.train().ranks() * config.model().seq();
    trunk.begin(begin.step());
    List<MicroBatch> micros = new ArrayList<>();
    for (int m = 0; m < config.train().microBatches(); m++) {
      Batch batch = batches.training(begin.step(), state.rank(), m);
      micros.add(new MicroBatch(m, batch, config.model().layers()));
    }
    begin(
        RankPass.training(
            state,
            micros,
            begin.step(),
            state.rank() * tokensOfRank,
            config.train().ranks() * tokensOfRank,
            settings.draws(),
            mail.ofPass(begin.step(), trunk::gradientsFinal)),
        () -> trunk.passEnded(pass::lossSum));
  }

  private void expectAnswersWithin(Duration timeout) {
    if (!timeout.equals(replyTimeout)) {
      replyTimeout = timeout;
      timers.startTimerWithFixedDelay(CheckProgress.class, new CheckProgress(), timeout);
    }
  }

  private void onLoad(Load load) {
    if (load.epoch() == epoch() && pass != null && pass.step() == load.step()) {
      // A load is a sum over all ranks: each of them is in this step.
      trunk.allHaveBegun();
      load.load_LE().forEach(pass::load);
      advance();
    }
  }

  private void onEvaluate(Evaluate evaluate) {
    if (evaluate.epoch() == epoch()) {
      endPass();
      evaluateFrom(evaluate, state.rank(), 0, 0);
    }
  }

  /** Ranks take validation batches in turns; one is in memory at a time. */
  private void evaluateFrom(Evaluate evaluate, int index, double lossSum, long tokens) {
    if (index >= evaluate.count()) {
      tell(new Evaluated(epoch(), evaluate.id(), state.rank(), lossSum, tokens));
      return;
    }
    Batch batch = batches.validation(index, evaluate.count());
    MicroBatch micro = new MicroBatch(0, batch, config.model().layers());
    long id = evaluate.id() + index;
    begin(
        RankPass.evaluation(state, List.of(micro), id, mail.ofPass(id, NOTHING_IS_FINAL)),
        () -> {
          double sum = lossSum + pass.lossSum();
          endPass();
          evaluateFrom(evaluate, index + config.train().ranks(), sum, tokens + micro.tokens());
        });
  }

  private void onGenerate(Generate generate) {
    if (generate.epoch() == epoch()) {
      endPass();
      generateFrom(generate, generate.prompt());
    }
  }

  private void generateFrom(Generate generate, int[] tokens) {
    int generated = tokens.length - generate.prompt().length;
    if (generated == generate.count()
        || generated > 0 && tokens[tokens.length - 1] == generate.stop()) {
      tell(new Generated(epoch(), generate.id(), state.rank(), tokens));
      return;
    }
    int[] context =
        Arrays.copyOfRange(
            tokens, Math.max(0, tokens.length - config.model().seq()), tokens.length);
    Batch batch = new Batch(context, context, 1, context.length);
    MicroBatch micro = new MicroBatch(0, batch, config.model().layers());
    long id = generate.id() + generated;
    begin(
        RankPass.generation(state, micro, id, mail.ofPass(id, NOTHING_IS_FINAL)),
        () -> {
          double[] logits = state.trunk().nextTokenLogits(micro);
          endPass();
          int[] longer = Arrays.copyOf(tokens, tokens.length + 1);
          longer[tokens.length] = generate.sampling().next(logits, tokens.length);
          generateFrom(generate, longer);
        });
  }

  private void begin(RankPass next, Runnable whenFinished) {
    pass = next;
    onPassFinished = whenFinished;
    advance();
  }

  private void advance() {
    pass.advance();
    if (pass.finished() && onPassFinished != null) {
      Runnable finished = onPassFinished;
      onPassFinished = null;
      finished.run();
    }
  }

  private void onDeliver(BatchHeader header, TensorPayload rows) {
    if (header.epoch() != epoch()) {
      rows.release();
      return;
    }
    boolean awaited =
        switch (header.phase()) {
          case OUTPUT, INPUT_GRADIENT -> onAnswer(header, rows);
          case TRUNK_GRADIENT -> trunk.onGradient(header, rows);
          case TRUNK_PARAMETERS -> trunk.onParameters(header, rows);
          case FORWARD, BACKWARD, EVALUATE, REPLICA, RESTORE, CHECKPOINT -> {
            rows.release();
            yield false;
          }
        };
    // What was here already does not count: ranks that wait for this one repeat what they sent, and
    // would keep it from ever asking for what it has lost.
    deliveries += awaited ? 1 : 0;
  }

  /** Takes the answer of an expert; returns whether it was awaited. */
  private boolean onAnswer(BatchHeader header, TensorPayload rows) {
    if (pass == null
        || pass.step() != header.step()
        || !pass.accept(
            header.phase(), header.microBatch(), header.layer(), header.expert(), rows.tensor())) {
      rows.release();
      return false;
    }
    advance();
    return true;
  }

  private void onApply(Apply apply) {
    if (apply.epoch() == epoch()) {
      // Decided: every expert has its gradient in this epoch, so none reads rows of an older one.
      state.closeRetired();
      trunk.apply(apply.hyper());
    }
  }

  private void onResend(Resend resend) {
    if (resend.epoch() == epoch() && pass != null) {
      pass.resend(resend.layer(), resend.expert());
    }
  }

  private void onCheckProgress() {
    boolean moved = deliveries != deliveriesAtLastCheck;
    deliveriesAtLastCheck = deliveries;
    if (pass == null) {
      return;
    }
    if (moved) {
      tell(new Moving(epoch(), state.rank()));
      return;
    }
    RankPass.Waiting waiting = pass.waiting();
    if (waiting != null) {
      tell(new Late(epoch(), pass.step(), state.rank(), waiting.layer(), waiting.expert()));
      if (waiting.expert() >= 0) {
        pass.resend(waiting.layer(), waiting.expert());
      }
    } else {
      trunk.resend();
    }
  }

  private void tell(Event event) {
    mail.tell(event);
  }

  private void endPass() {
    if (pass != null) {
      pass.close();
      pass = null;
    }
    onPassFinished = null;
    trunk.end();
  }

  private int epoch() {
    return state.incarnations().epoch();
  }

  /** Gives up the step at hand; its rows stay until every expert has given it up too. */
  private void abandonStep() {
    mail.close();
    if (pass != null) {
      state.retire(pass.micros());
      pass = null;
    }
    endPass();
  }

  private Behavior<Command> onRestart() {
    abandonStep();
    return Behaviors.same();
  }

  private Behavior<Command> onStop() {
    mail.close();
    endPass();
    state.closeRetired();
    return Behaviors.same();
  }
}
