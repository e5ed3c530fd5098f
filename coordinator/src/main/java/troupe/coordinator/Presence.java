package troupe.coordinator;

import akka.actor.typed.ActorRef;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import troupe.coordinator.host.Host;

/**
 * The hosts that are there. Nothing more is asked of those that are given up, although their nodes
 * are still members of the cluster: until they have left it by themselves, or for so long that they
 * are not expected to.
 */
final class Presence {
  /** Longer than a node takes to stop its actors and leave. */
  private static final long PATIENCE_NS = 30_000_000_000L;

  private final Map<ActorRef<Host.Command>, Long> givenUpNs = new HashMap<>();
  private Set<ActorRef<Host.Command>> hosts = Set.of();

  /** The nodes of these hosts are members; returns whether others are there than before. */
  boolean update(Set<ActorRef<Host.Command>> members) {
    Set<ActorRef<Host.Command>> before = hosts;
    givenUpNs.keySet().retainAll(members);
    hosts = withoutGivenUp(members);
    return !hosts.equals(before);
  }

  private Set<ActorRef<Host.Command>> withoutGivenUp(Set<ActorRef<Host.Command>> some) {
    Set<ActorRef<Host.Command>> rest = new HashSet<>(some);
    rest.removeAll(givenUpNs.keySet());
    return Set.copyOf(rest);
  }

  /** Those who are there. */
  Set<ActorRef<Host.Command>> hosts() {
    return hosts;
  }

  int count() {
    return hosts.size();
  }

  /** A host does not count as there any more. */
  void giveUp(ActorRef<Host.Command> host, long nowNs) {
    givenUpNs.put(host, nowNs);
    hosts = withoutGivenUp(hosts);
  }

  /** Those given up who should have left by now; each is said once. */
  Set<ActorRef<Host.Command>> overdue(long nowNs) {
    Set<ActorRef<Host.Command>> overdue = new HashSet<>();
    givenUpNs.replaceAll(
        (host, since) -> {
          if (since == Long.MAX_VALUE || nowNs - since < PATIENCE_NS) {
            return since;
          }
          overdue.add(host);
          return Long.MAX_VALUE;
        });
    return overdue;
  }

  /** The nodes of an epoch whose hosts are not there; {@code group} is {@code null} before any. */
  List<Integer> gone(Group group) {
    return group == null
        ? List.of()
        : group.nodes().stream().filter(node -> !hosts.contains(group.host(node))).toList();
  }

  /** Says which nodes of an epoch are gone, as a cause of the next one. */
  String lost(Group group) {
    List<String> lost = gone(group).stream().map(node -> group.name(node)).sorted().toList();
    return lost.isEmpty() ? "a node was lost" : "lost " + String.join(", ", lost);
  }

  void tellAll(Host.Command command) {
    hosts.forEach(host -> host.tell(command));
  }
}
