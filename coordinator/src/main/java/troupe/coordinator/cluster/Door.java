package troupe.coordinator.cluster;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorRefResolver;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.Behaviors;
import akka.cluster.typed.Cluster;
import java.time.InstantSource;
import java.util.Optional;
import java.util.OptionalLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.cluster.NodeNames.Standing;

/**
 * Answers those who are no members: newcomers, who learn whether they belong here before they join,
 * and the command line. Every node has one at {@link #PATH}.
 *
 * <pre>
 *   SHUT: Open  -> OPEN  (the run is known)
 *   SHUT: Knock -> SHUT  (NotYet)
 *   SHUT: Ask   -> SHUT  (Refused)
 *   OPEN: Knock -> OPEN  (Welcome, NotYet or Refused)
 *   OPEN: Ask   -> OPEN  (Refused, or passed on to the desk)
 * </pre>
 */
public final class Door {
  /** The name to spawn it by, under the guardian. */
  public static final String NAME = "door";

  private static final String PATH = "/user/" + NAME;
  private static final Logger LOG = LoggerFactory.getLogger(Door.class);

  private final Identity identity;
  private final String address;
  private final Names names;
  private final InstantSource clock;
  private final ActorRef<Asked> desk;

  /** What travels between nodes that may be of different versions of Troupe. */
  sealed interface Message permits Knock, Ask, Reply {}

  /** What a door is told. */
  public sealed interface Command permits Knock, Ask, Open {}

  /** The run is known from now on; said by this node itself. */
  record Open(long runId) implements Command {}

  /**
   * A newcomer wants to come in.
   *
   * @param address of its control messages, {@code HOST:PORT}
   * @param clockMs what its clock says, milliseconds since 1970
   */
  record Knock(Identity identity, String address, long clockMs, ActorRef<Reply> replyTo)
      implements Command, Message {}

  /**
   * The command line asks something of the run.
   *
   * @param version of its Troupe
   * @param run the name of the run that it means
   */
  record Ask(String version, String run, Request request, ActorRef<Reply> replyTo)
      implements Command, Message {}

  /** What the command line may ask for. */
  public sealed interface Request permits MoveExpert, Leave, Stop {}

  /** An expert should live on another node. */
  public record MoveExpert(int layer, int expert, String node) implements Request {}

  /** A node should leave the run, which goes on without it. */
  public record Leave(String node) implements Request {}

  /** The run should write a checkpoint and end. */
  public record Stop() implements Request {}

  /** A request of the command line as it reaches the run: it has to be answered. */
  public record Asked(Request request, ActorRef<Reply> replyTo) {}

  /** What a door answers. */
  public sealed interface Reply extends Message permits Welcome, NotYet, Refused, Accepted {}

  /** Come in, through {@code address}. */
  record Welcome(String address, long runId) implements Reply {}

  /** Knock again; {@code why} is for people. */
  record NotYet(String address, String why) implements Reply {}

  /**
   * No.
   *
   * @param address of the door; empty if the run itself refuses
   * @param passing whether it may be over soon without anyone correcting anything
   */
  public record Refused(String address, String message, String hint, boolean passing)
      implements Reply {
    /** The run refuses what the command line asked for. */
    public Refused(String message, String hint) {
      this("", message, hint, false);
    }
  }

  /** The run will do what it was asked; {@code what} is for people. */
  public record Accepted(String what) implements Reply {}

  /** Who has which name. */
  interface Names {
    /** Whether a newcomer at {@code address} may have {@code name}. */
    Standing standing(String name, String address);
  }

  private Door(
      Identity identity, String address, Names names, InstantSource clock, ActorRef<Asked> desk) {
    this.identity = identity;
    this.address = address;
    this.names = names;
    this.clock = clock;
    this.desk = desk;
  }

  /**
   * A door that does not know the run yet; {@link Joining} opens it.
   *
   * @param clock tells whether a newcomer's is right
   * @param desk told what the command line asks for; it answers
   */
  public static Behavior<Command> create(
      Identity identity, InstantSource clock, ActorRef<Asked> desk) {
    return Behaviors.setup(
        context -> {
          Cluster cluster = Cluster.get(context.getSystem());
          Names names = (name, address) -> NodeNames.standing(cluster.state(), name, address);
          String own = NodeSystem.address(context.getSystem());
          return create(identity, own, names, clock, desk);
        });
  }

  static Behavior<Command> create(
      Identity identity, String address, Names names, InstantSource clock, ActorRef<Asked> desk) {
    return new Door(identity, address, names, clock, desk).answering(OptionalLong.empty());
  }

  /** The door of a node at {@code HOST:PORT}, whether it is there or not. */
  static ActorRef<Command> at(ActorSystem<?> system, String address) {
    return ActorRefResolver.get(system)
        .resolveActorRef("akka://" + NodeSystem.NAME + "@" + address + PATH);
  }

  private Behavior<Command> answering(OptionalLong runId) {
    return Behaviors.receiveMessage(
        command ->
            switch (command) {
              case Open open -> answering(OptionalLong.of(open.runId()));
              case Knock knock -> {
                knock.replyTo().tell(onKnock(knock, runId));
                yield Behaviors.same();
              }
              case Ask ask -> {
                onAsk(ask, runId.isPresent());
                yield Behaviors.same();
              }
            });
  }

  /**
   * As long as the run is unknown nobody is turned away, whatever is wrong with them: the one who
   * is wrong may be this node, and would stop the others.
   */
  private Reply onKnock(Knock knock, OptionalLong runId) {
    if (runId.isEmpty()) {
      return new NotYet(address, "waits for the run to begin, too");
    }
    Optional<Admission.Refusal> refusal =
        Admission.check(identity, knock.identity(), knock.clockMs() - clock.millis());
    if (refusal.isPresent()) {
      LOG.warn("refused={} cause={}", knock.address(), refusal.get().message());
      return new Refused(address, refusal.get().message(), refusal.get().hint(), false);
    }
    String name = knock.identity().node();
    return switch (name.isEmpty() ? Standing.FREE : names.standing(name, knock.address())) {
      case FREE -> new Welcome(address, runId.getAsLong());
      case SUSPECTED -> new NotYet(address, "the " + name + " that was there is being given up");
      case TAKEN ->
          // Passing: the holder may be dead, and not suspected yet.
          new Refused(
              address,
              "cluster.name: " + name + " is there already (expected: a name of its own)",
              "cluster.name=ANOTHER, or leave it out to go by HOST:PORT",
              true);
    };
  }

  private void onAsk(Ask ask, boolean known) {
    if (!ask.version().equals(identity.version())) {
      refuse(
          ask,
          "Troupe: version " + ask.version() + " (expected: " + identity.version() + ")",
          "use the version of Troupe that the run was started with");
    } else if (!ask.run().equals(identity.run())) {
      refuse(
          ask,
          "run: " + ask.run() + " (expected: " + identity.run() + ", which lives there now)",
          "name the folder of a run that is running");
    } else if (!known) {
      refuse(ask, "the run has not begun (expected: all nodes there)", "try again");
    } else {
      desk.tell(new Asked(ask.request(), ask.replyTo()));
    }
  }

  private void refuse(Ask ask, String message, String hint) {
    ask.replyTo().tell(new Refused(address, message, hint, false));
  }
}
