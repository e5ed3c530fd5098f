package troupe.coordinator;

import akka.actor.typed.ActorRef;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import troupe.coordinator.host.Host;

/**
 * Hosts that nothing more is asked of, although their nodes are still members of the cluster: until
 * they have left it by themselves, or for so long that they are not expected to.
 */
final class GivenUp {
  /** Longer than a node takes to stop its actors and leave. */
  private static final long PATIENCE_NS = 30_000_000_000L;

  private final Map<ActorRef<Host.Command>, Long> sinceNs = new HashMap<>();

  void add(ActorRef<Host.Command> host, long nowNs) {
    sinceNs.put(host, nowNs);
  }

  /** Those of all hosts that are present who are not given up. */
  Set<ActorRef<Host.Command>> without(Set<ActorRef<Host.Command>> present) {
    sinceNs.keySet().retainAll(present);
    Set<ActorRef<Host.Command>> rest = new HashSet<>(present);
    rest.removeAll(sinceNs.keySet());
    return Set.copyOf(rest);
  }

  /** Those who should have left by now; each is said once. */
  Set<ActorRef<Host.Command>> overdue(long nowNs) {
    Set<ActorRef<Host.Command>> overdue = new HashSet<>();
    sinceNs.replaceAll(
        (host, since) -> {
          if (since == Long.MAX_VALUE || nowNs - since < PATIENCE_NS) {
            return since;
          }
          overdue.add(host);
          return Long.MAX_VALUE;
        });
    return overdue;
  }
}
