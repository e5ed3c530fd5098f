package troupe.coordinator.cluster;

import akka.actor.Address;
import akka.actor.typed.ActorRef;
import akka.actor.typed.Behavior;
import akka.actor.typed.javadsl.ActorContext;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.receptionist.Receptionist;
import akka.actor.typed.receptionist.ServiceKey;
import akka.cluster.ClusterEvent;
import akka.cluster.Member;
import akka.cluster.MemberStatus;
import akka.cluster.UniqueAddress;
import akka.cluster.typed.Cluster;
import akka.cluster.typed.Subscribe;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.Consumer;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.Host;

/**
 * Tells who is there, in words that know nothing of the cluster: the hosts, and what happens to
 * nodes. A host is present from when its node is up and it is registered under {@link #HOSTS},
 * until its node has left or was given up; being unreachable is not enough.
 */
public final class Membership {
  /** Where hosts register with the receptionist. */
  public static final ServiceKey<Host.Command> HOSTS =
      ServiceKey.create(Host.Command.class, "hosts");

  private static final String GIVEN_UP = "nothing was heard of it, the others gave it up";

  private final Cluster cluster;
  private final UniqueAddress self;
  private final Consumer<Event> listener;

  /** Members when it began to watch: what it hears of their coming is no news. */
  private final Set<UniqueAddress> before = new HashSet<>();

  private final Map<Address, UniqueAddress> present = new HashMap<>();
  private final Set<UniqueAddress> gone = new HashSet<>();
  private Set<ActorRef<Host.Command>> listed = Set.of();

  /** Of nodes that are gone, but still listed: at the same address there may be another soon. */
  private final Set<ActorRef<Host.Command>> dropped = new HashSet<>();

  private Set<ActorRef<Host.Command>> told = Set.of();

  /** What it hears from Akka. */
  public sealed interface Command permits Heard, Listed {}

  record Heard(ClusterEvent.ClusterDomainEvent event) implements Command {}

  record Listed(Set<ActorRef<Host.Command>> hosts) implements Command {}

  /** What it tells. */
  public sealed interface Event permits Changed, Happened, Expelled {}

  /** All hosts that are present from now on. */
  public record Changed(Set<ActorRef<Host.Command>> hosts) implements Event {
    /** Copies the set. */
    public Changed {
      hosts = Set.copyOf(hosts);
    }
  }

  /**
   * Something happened to a node: {@link RunEvent.Joined}, {@link RunEvent.Suspected}, {@link
   * RunEvent.Reachable} or {@link RunEvent.Removed}.
   *
   * @param news false for a node that was there before anyone watched
   */
  public record Happened(RunEvent event, boolean news) implements Event {}

  /** The others go on without this node, which must not touch anything from now on. */
  public record Expelled(String cause) implements Event {}

  private Membership(ActorContext<Command> context, Consumer<Event> listener) {
    this.cluster = Cluster.get(context.getSystem());
    this.self = cluster.selfMember().uniqueAddress();
    this.listener = listener;
    cluster.state().getMembers().forEach(member -> before.add(member.uniqueAddress()));
    cluster
        .subscriptions()
        .tell(
            Subscribe.create(
                context.messageAdapter(ClusterEvent.ClusterDomainEvent.class, Heard::new),
                ClusterEvent.ClusterDomainEvent.class));
    context
        .getSystem()
        .receptionist()
        .tell(
            Receptionist.subscribe(
                HOSTS,
                context.messageAdapter(
                    Receptionist.Listing.class,
                    listing -> new Listed(listing.getAllServiceInstances(HOSTS)))));
  }

  /**
   * Begins to watch; the node has to be a member.
   *
   * @param listener told on this actor's thread
   */
  public static Behavior<Command> create(Consumer<Event> listener) {
    return Behaviors.setup(context -> new Membership(context, listener).watching());
  }

  private Behavior<Command> watching() {
    return Behaviors.receiveMessage(
        command -> {
          switch (command) {
            case Heard heard -> onEvent(heard.event());
            case Listed listing -> {
              listed = listing.hosts();
              dropped.retainAll(listed);
            }
          }
          tellHosts();
          return Behaviors.same();
        });
  }

  private void onEvent(ClusterEvent.ClusterDomainEvent event) {
    switch (event) {
      case ClusterEvent.MemberUp up -> onThere(up.member());
      // Up before anyone watched, and on its way out.
      case ClusterEvent.MemberLeft left -> onThere(left.member());
      case ClusterEvent.UnreachableMember unreachable ->
          happened(new RunEvent.Suspected(NodeNames.of(unreachable.member())));
      case ClusterEvent.ReachableMember reachable ->
          happened(new RunEvent.Reachable(NodeNames.of(reachable.member())));
      case ClusterEvent.MemberDowned downed -> onGone(downed.member(), GIVEN_UP);
      case ClusterEvent.MemberRemoved removed ->
          onGone(
              removed.member(),
              removed.previousStatus().equals(MemberStatus.down()) ? GIVEN_UP : "it left");
      default -> {
        // Leaders, seen-by sets and the like.
      }
    }
  }

  private void onThere(Member member) {
    UniqueAddress node = member.uniqueAddress();
    if (!gone.contains(node) && !node.equals(present.put(member.address(), node))) {
      listener.accept(
          new Happened(
              new RunEvent.Joined(NodeNames.of(member), NodeNames.hostPort(member.address())),
              !before.contains(node)));
    }
  }

  private void onGone(Member member, String cause) {
    UniqueAddress node = member.uniqueAddress();
    if (!gone.add(node)) {
      return;
    }
    if (present.remove(member.address(), node)) {
      for (ActorRef<Host.Command> host : listed) {
        if (addressOf(host).equals(member.address())) {
          dropped.add(host);
        }
      }
      happened(new RunEvent.Removed(NodeNames.of(member), cause));
    }
    if (node.equals(self)) {
      listener.accept(new Expelled(cause));
    }
  }

  private void tellHosts() {
    Set<ActorRef<Host.Command>> hosts = new LinkedHashSet<>();
    for (ActorRef<Host.Command> host : listed) {
      if (present.containsKey(addressOf(host)) && !dropped.contains(host)) {
        hosts.add(host);
      }
    }
    if (!hosts.equals(told)) {
      told = hosts;
      listener.accept(new Changed(hosts));
    }
  }

  /** References to actors of this node have no host in them. */
  private Address addressOf(ActorRef<?> ref) {
    Address address = ref.path().address();
    return address.hasLocalScope() ? self.address() : address;
  }

  private void happened(RunEvent event) {
    listener.accept(new Happened(event, true));
  }
}
