package troupe.coordinator.cluster;

import akka.actor.Address;
import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.javadsl.TimerScheduler;
import akka.cluster.ClusterEvent.CurrentClusterState;
import akka.cluster.Member;
import akka.cluster.typed.Cluster;
import akka.cluster.typed.Join;
import akka.cluster.typed.SelfUp;
import akka.cluster.typed.Subscribe;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

/**
 * Brings a node into the cluster of its run, or says exactly why not. Knocks at the doors of all
 * seeds and joins through the one that welcomes it. The first seed begins the run if nobody
 * welcomes it: a restarted first seed is welcomed by the others, so it does not begin a second one.
 *
 * <pre>
 *   KNOCKING: Welcome                                   -> ENTERING
 *   KNOCKING: Refused, a stranger's address, time is up -> ends (Failed)
 *   KNOCKING: first, and nobody knows of a run          -> ENTERING (through itself)
 *   ENTERING: the member is up                          -> ends (Joined; the door opens)
 *   ENTERING: still no member after {@link #ENTER_PATIENCE} -> KNOCKING
 * </pre>
 */
public final class Joining {
  /** Often enough not to be noticed, rare enough for a door that thousands knock at. */
  private static final Duration KNOCK_EVERY = Duration.ofMillis(300);

  private static final Duration PROBE_EVERY = Duration.ofSeconds(1);

  /** A door that is there has answered by then, even on a busy machine. */
  private static final Duration GRACE = Duration.ofSeconds(2);

  /** Longer than a killed node stays unsuspected (2.4 s): its name is free for its successor. */
  private static final Duration NAME_PATIENCE = Duration.ofSeconds(5);

  private static final Duration ENTER_PATIENCE = Duration.ofSeconds(5);

  private final ActorContext<Command> context;
  private final TimerScheduler<Command> timers;
  private final Settings settings;
  private final Cluster cluster;
  private final String self;
  private final Seeds seeds;
  private final SeedProbe probe;
  private final Executor threads = Executors.newVirtualThreadPerTaskExecutor();
  private final ActorRef<Door.Reply> replies;
  private final Consumer<Result> done;
  private boolean graceOver;
  private String lastTold = "";

  /** What it is told by those that it asks. */
  public sealed interface Command permits Heard, Found, Up, Timer {}

  record Heard(Door.Reply reply) implements Command {}

  record Found(String seed, SeedProbe.Finding finding) implements Command {}

  record Up(CurrentClusterState state) implements Command {}

  enum Timer implements Command {
    KNOCK,
    PROBE,
    GRACE_OVER,
    NAME_STILL_TAKEN,
    NOT_ENTERED,
    TIME_IS_UP
  }

  /** How it ended. */
  public sealed interface Result permits Joined, Failed {}

  /**
   * The node is a member of the cluster of its run.
   *
   * @param runId stamped on every batch
   * @param formed whether it began the run
   */
  public record Joined(long runId, boolean formed) implements Result {}

  /** It is not, and trying again without a change would not help. */
  public record Failed(String message, String hint) implements Result {
    /** For the command line. */
    public UserException exception() {
      return new UserException(message, hint);
    }
  }

  /**
   * What a node needs to join.
   *
   * @param identity of this node
   * @param cluster where to knock, and for how long
   * @param door of this node: opened when the run is known
   * @param clock told at other doors
   * @param runIds draws the number of a new run
   * @param progress told why it still waits, whenever that changes
   */
  public record Settings(
      Identity identity,
      RunConfig.Cluster cluster,
      ActorRef<Door.Command> door,
      InstantSource clock,
      LongSupplier runIds,
      Consumer<String> progress) {}

  private Joining(
      ActorContext<Command> context,
      TimerScheduler<Command> timers,
      Settings settings,
      Consumer<Result> done) {
    this.context = context;
    this.timers = timers;
    this.settings = settings;
    this.cluster = Cluster.get(context.getSystem());
    this.self = NodeSystem.address(context.getSystem());
    this.seeds = new Seeds(settings.cluster().seeds(), self);
    this.probe = new SeedProbe(settings.cluster().tlsDirectory());
    this.replies = context.messageAdapter(Door.Reply.class, Heard::new);
    this.done = done;
  }

  /**
   * Begins to knock at once.
   *
   * @param done told how it ended, once, on an actor's thread
   */
  public static Behavior<Command> create(Settings settings, Consumer<Result> done) {
    return Behaviors.setup(
        context ->
            Behaviors.withTimers(timers -> new Joining(context, timers, settings, done).begin()));
  }

  private Behavior<Command> begin() {
    cluster
        .subscriptions()
        .tell(
            Subscribe.create(
                context.messageAdapter(SelfUp.class, up -> new Up(up.currentClusterState())),
                SelfUp.class));
    timers.startSingleTimer(
        Timer.TIME_IS_UP, Duration.ofNanos((long) (settings.cluster().joinTimeoutSeconds() * 1e9)));
    if (seeds.isAlone()) {
      return form();
    }
    timers.startSingleTimer(Timer.GRACE_OVER, GRACE);
    timers.startTimerWithFixedDelay(Timer.KNOCK, Duration.ZERO, KNOCK_EVERY);
    timers.startTimerWithFixedDelay(Timer.PROBE, Duration.ZERO, PROBE_EVERY);
    return knocking();
  }

  private Behavior<Command> knocking() {
    return Behaviors.receiveMessage(
        command ->
            switch (command) {
              case Heard heard -> onReply(heard.reply());
              case Found found -> onFound(found);
              case Up up -> Behaviors.same();
              case Timer timer ->
                  switch (timer) {
                    case KNOCK -> onKnock();
                    case PROBE -> onProbe();
                    case GRACE_OVER -> {
                      graceOver = true;
                      yield Behaviors.same();
                    }
                    case NAME_STILL_TAKEN -> onNameStillTaken();
                    case NOT_ENTERED -> Behaviors.same();
                    case TIME_IS_UP -> onTimeIsUp();
                  };
            });
  }

  /** Asked to come in, through a member of the cluster or through itself. */
  private Behavior<Command> entering(long runId, boolean formed) {
    return Behaviors.receiveMessage(
        command ->
            switch (command) {
              case Up up -> onUp(up.state(), runId, formed);
              case Timer timer ->
                  switch (timer) {
                    // The one who welcomed it may be gone; another will.
                    case NOT_ENTERED -> formed || isMember() ? Behaviors.same() : knocking();
                    case TIME_IS_UP ->
                        fail(
                            "cluster: welcome, but not let in within "
                                + settings.cluster().joinTimeoutSeconds()
                                + " s (expected: a few)",
                            "see the logs of the other nodes; nobody comes in while one of them is"
                                + " unreachable");
                    case KNOCK, PROBE, GRACE_OVER, NAME_STILL_TAKEN -> Behaviors.same();
                  };
              case Heard heard -> Behaviors.same();
              case Found found -> Behaviors.same();
            });
  }

  private Behavior<Command> onReply(Door.Reply reply) {
    return switch (reply) {
      case Door.Welcome welcome -> enter(welcome.address(), welcome.runId(), false);
      case Door.Refused refused when !refused.passing() -> refusedBy(refused);
      case Door.Refused refused -> {
        seeds.replied(refused.address(), refused);
        if (!timers.isTimerActive(Timer.NAME_STILL_TAKEN)) {
          timers.startSingleTimer(Timer.NAME_STILL_TAKEN, NAME_PATIENCE);
        }
        yield Behaviors.same();
      }
      case Door.NotYet notYet -> {
        seeds.replied(notYet.address(), notYet);
        yield Behaviors.same();
      }
      case Door.Accepted accepted -> Behaviors.same();
    };
  }

  private Behavior<Command> onFound(Found found) {
    seeds.found(found.seed(), found.finding());
    return Behaviors.same();
  }

  private Behavior<Command> onKnock() {
    if (graceOver) {
      Optional<String> stranger = seeds.stranger();
      if (stranger.isPresent()) {
        return fail(
            "cluster.seeds: " + stranger.get() + " (expected: a node of this run)",
            "correct cluster.seeds, or cluster.tls_directory to the folder that all nodes have");
      }
      if (seeds.mayForm()) {
        return form();
      }
      tell(seeds.told());
    }
    for (String seed : seeds.listening()) {
      Door.at(context.getSystem(), seed)
          .tell(new Door.Knock(settings.identity(), self, settings.clock().millis(), replies));
    }
    return Behaviors.same();
  }

  private Behavior<Command> onProbe() {
    for (String seed : seeds.others()) {
      context.pipeToSelf(
          CompletableFuture.supplyAsync(() -> probe.probe(seed), threads),
          (finding, failure) ->
              new Found(
                  seed,
                  failure == null
                      ? finding
                      : new SeedProbe.Finding(SeedProbe.Kind.NOBODY, failure.toString())));
    }
    return Behaviors.same();
  }

  private Behavior<Command> onNameStillTaken() {
    return seeds.refusal().map(this::refusedBy).orElse(Behaviors.same());
  }

  private Behavior<Command> onTimeIsUp() {
    return fail(
        String.format(
            "cluster.seeds: no node let this one in within %s s: %s (expected: one that does)",
            settings.cluster().joinTimeoutSeconds(), seeds.told()),
        "start the first seed, and write seeds exactly as the cluster.host:cluster.port of those"
            + " nodes");
  }

  private Behavior<Command> form() {
    long runId;
    do {
      runId = settings.runIds().getAsLong();
    } while (runId == 0);
    return enter(self, runId, true);
  }

  private Behavior<Command> enter(String through, long runId, boolean formed) {
    InetSocketAddress target = SeedProbe.socketAddress(through);
    Address own = cluster.selfMember().address();
    cluster
        .manager()
        .tell(
            Join.create(
                new Address(
                    own.protocol(), own.system(), target.getHostString(), target.getPort())));
    timers.startSingleTimer(Timer.NOT_ENTERED, ENTER_PATIENCE);
    return entering(runId, formed);
  }

  /** Two newcomers of the same name may be welcomed at the same time: the younger one goes. */
  private Behavior<Command> onUp(CurrentClusterState state, long runId, boolean formed) {
    Member own = cluster.selfMember();
    String name = NodeNames.of(own);
    for (Member member : state.getMembers()) {
      boolean other = !member.uniqueAddress().equals(own.uniqueAddress());
      if (other && NodeNames.of(member).equals(name) && member.isOlderThan(own)) {
        NodeSystem.leave(context.getSystem());
        return fail(
            "cluster.name: " + name + " is there already (expected: a name of its own)",
            "cluster.name=ANOTHER, or leave it out to go by HOST:PORT");
      }
    }
    settings.door().tell(new Door.Open(runId));
    done.accept(new Joined(runId, formed));
    return Behaviors.stopped();
  }

  private boolean isMember() {
    for (Member member : cluster.state().getMembers()) {
      if (member.uniqueAddress().equals(cluster.selfMember().uniqueAddress())) {
        return true;
      }
    }
    return false;
  }

  private Behavior<Command> refusedBy(Door.Refused refused) {
    return fail("refused by " + refused.address() + ":\n" + refused.message(), refused.hint());
  }

  private void tell(String why) {
    if (!why.equals(lastTold)) {
      lastTold = why;
      settings.progress().accept(why);
    }
  }

  private Behavior<Command> fail(String message, String hint) {
    done.accept(new Failed(message, hint));
    return Behaviors.stopped();
  }
}
