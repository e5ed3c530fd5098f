package troupe.coordinator.node;

import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.receptionist.Receptionist;
import akka.cluster.typed.ClusterSingleton;
import akka.cluster.typed.SingletonActor;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;
import troupe.coordinator.Coordinator;
import troupe.coordinator.cluster.Door;
import troupe.coordinator.cluster.Identity;
import troupe.coordinator.cluster.Joining;
import troupe.coordinator.cluster.Membership;
import troupe.coordinator.cluster.NodeSystem;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.ShardCatalog;
import troupe.coordinator.run.RunDesk;
import troupe.coordinator.run.RunFolder;
import troupe.coordinator.run.TrainingSession;
import troupe.core.config.RunConfig;
import troupe.core.data.Tokenizer;

/**
 * The root of a node's actors: door, host, and where the cluster wants it the coordinator.
 *
 * <pre>
 *   JOINING:     TakePart         -> TAKING_PART (host and singleton begin)
 *   TAKING_PART: Asked, LeaveRun  -> TAKING_PART (the host is told)
 * </pre>
 */
final class NodeGuardian {
  /** What it is told. */
  sealed interface Command permits TakePart, ToHost, LeaveRun, Asked, Gone {}

  /** The node is a member: begin to host. */
  record TakePart(Host.Settings host, RunFolder folder, CheckpointPost post, Tokenizer tokenizer)
      implements Command {}

  /** For the host. */
  record ToHost(Host.Command command) implements Command {}

  /** Whoever runs this process wants it to end. */
  record LeaveRun() implements Command {}

  /** The command line asks for something. */
  record Asked(Door.Asked asked) implements Command {}

  /** The others go on without this node. */
  record Gone(String cause) implements Command {}

  /** Hears how the host's part ended. */
  record HostEnd(CompletableFuture<NodeEnd> end) implements Host.Node {
    @Override
    public void released() {
      end.complete(new NodeEnd.Left());
    }

    @Override
    public void finished(Outcome outcome) {
      end.complete(new NodeEnd.Finished(outcome));
    }
  }

  private final ActorContext<Command> context;
  private final RunConfig config;
  private final TrainingSession.Observer observer;
  private final CompletableFuture<NodeEnd> end;

  private NodeGuardian(
      ActorContext<Command> context,
      RunConfig config,
      TrainingSession.Observer observer,
      CompletableFuture<NodeEnd> end) {
    this.context = context;
    this.config = config;
    this.observer = observer;
    this.end = end;
  }

  /**
   * Joins at once.
   *
   * @param joined told how that ended
   * @param end completed when the node's part in the run is over
   */
  static Behavior<Command> create(
      Identity identity,
      RunConfig config,
      TrainingSession.Observer observer,
      Consumer<Joining.Result> joined,
      CompletableFuture<NodeEnd> end) {
    return Behaviors.setup(
        context -> {
          ActorRef<Door.Command> door =
              context.spawn(
                  Door.create(
                      identity,
                      InstantSource.system(),
                      context.messageAdapter(Door.Asked.class, Asked::new)),
                  Door.NAME);
          context.spawn(
              Joining.create(
                  new Joining.Settings(
                      identity,
                      config.cluster(),
                      door,
                      InstantSource.system(),
                      new SecureRandom()::nextLong,
                      observer::notice),
                  joined),
              "joining");
          return new NodeGuardian(context, config, observer, end).joining();
        });
  }

  private Behavior<Command> joining() {
    return Behaviors.receiveMessage(
        command ->
            switch (command) {
              case TakePart part -> takePart(part);
              case Asked asked -> {
                asked
                    .asked()
                    .replyTo()
                    .tell(new Door.Refused("this node is joining", "try again in a moment"));
                yield Behaviors.same();
              }
              case LeaveRun leave -> left();
              case Gone gone -> left();
              case ToHost to -> Behaviors.same();
            });
  }

  private Behavior<Command> left() {
    end.complete(new NodeEnd.Left());
    return Behaviors.same();
  }

  private Behavior<Command> takePart(TakePart part) {
    ActorRef<Host.Command> host =
        context.spawn(Host.create(part.host()), "host", Host.dispatcher());
    context.getSystem().receptionist().tell(Receptionist.register(Membership.HOSTS, host));
    ActorRef<Command> self = context.getSelf();
    context.spawn(
        Membership.create(
            event -> {
              if (event instanceof Membership.Expelled expelled) {
                self.tell(new Gone("this node: " + expelled.cause()));
              }
            }),
        "expulsion");
    ClusterSingleton.get(context.getSystem())
        .init(
            SingletonActor.of(coordinator(part), "coordinator")
                .withProps(Coordinator.dispatcher()));
    return takingPart(host);
  }

  /** The coordinator with its desk; born on the node that the cluster chooses. */
  private Behavior<Coordinator.Command> coordinator(TakePart part) {
    return Behaviors.setup(
        context -> {
          ActorRef<Coordinator.Command> self = context.getSelf();
          RunDesk desk =
              new RunDesk(
                  config,
                  part.folder(),
                  part.host().runId(),
                  new ShardCatalog(config, part.host().model().devices().first().dtype()),
                  part.tokenizer(),
                  observer,
                  self::tell,
                  outcome -> {});
          part.post().open(desk);
          context.spawn(
              Membership.create(
                  event -> {
                    switch (event) {
                      case Membership.Changed changed ->
                          self.tell(new Coordinator.HostsChanged(changed.hosts()));
                      case Membership.Happened happened -> {
                        if (happened.news()) {
                          self.tell(new Coordinator.Noticed(happened.event()));
                        }
                      }
                      case Membership.Expelled expelled -> {}
                    }
                  }),
              "membership");
          return Coordinator.create(
              new Coordinator.Settings(
                  config,
                  part.host().info().node(),
                  config.cluster().nodes(),
                  TrainingSession.tasks(config, part.tokenizer()),
                  desk,
                  desk,
                  host -> NodeSystem.expel(context.getSystem(), host),
                  System::nanoTime));
        });
  }

  private Behavior<Command> takingPart(ActorRef<Host.Command> host) {
    return Behaviors.receiveMessage(
        command -> {
          switch (command) {
            case ToHost to -> host.tell(to.command());
            case LeaveRun leave -> host.tell(new Host.Leave());
            case Asked asked -> ask(host, asked.asked());
            case Gone gone -> end.complete(new NodeEnd.Expelled(gone.cause()));
            case TakePart again -> throw new IllegalStateException("takes part already");
          }
          return Behaviors.same();
        });
  }

  private void ask(ActorRef<Host.Command> host, Door.Asked asked) {
    switch (asked.request()) {
      case Door.MoveExpert move ->
          host.tell(
              new Host.Move(move.layer(), move.expert(), move.node(), answering(asked.replyTo())));
      case Door.Stop stop -> host.tell(new Host.Stop(answering(asked.replyTo())));
      case Door.Leave leave -> {
        String name = config.cluster().name();
        if (leave.node().equals(name)) {
          host.tell(new Host.Leave());
          asked.replyTo().tell(new Door.Accepted(name + " leaves after the step at hand"));
        } else {
          asked
              .replyTo()
              .tell(
                  new Door.Refused(
                      "node: " + leave.node() + " (expected: " + name + ")",
                      "ask the node that should leave"));
        }
      }
    }
  }

  /** Passes one answer on to the command line. */
  private ActorRef<Host.Answer> answering(ActorRef<Door.Reply> replyTo) {
    return context.spawnAnonymous(
        Behaviors.receiveMessage(
            answer -> {
              replyTo.tell(
                  switch (answer) {
                    case Host.Accepted accepted -> new Door.Accepted(accepted.line());
                    case Host.Refused refused ->
                        new Door.Refused(refused.message(), refused.hint());
                  });
              return Behaviors.stopped();
            }));
  }
}
