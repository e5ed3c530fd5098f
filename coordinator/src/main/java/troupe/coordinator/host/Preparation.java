package troupe.coordinator.host;

import akka.actor.typed.ActorRef;
import java.util.List;
import java.util.Map;
import java.util.SortedSet;
import java.util.stream.Collectors;
import troupe.coordinator.placement.NodeInfo;

/** What a node waits for on its way into a planned epoch: shards, then connections. */
final class Preparation {
  private final EpochPlan plan;
  private final Map<Integer, ActorRef<Host.Command>> hosts;
  private final int node;
  private final Links links;
  private final Restore restore;

  /**
   * Nothing is done yet.
   *
   * @param node this one
   */
  Preparation(Host.Prepare prepare, int node, Links links, Restore restore) {
    this.plan = prepare.plan();
    this.hosts = prepare.hosts();
    this.node = node;
    this.links = links;
    this.restore = restore;
  }

  /** Begins to connect, sees what is here and asks other nodes for the rest. */
  void begin() {
    links.connect(plan.nodes());
    restore.begin(plan, node);
    fetchMissing();
  }

  /** Asks other nodes for what is missing here; may be repeated. */
  void fetchMissing() {
    restore
        .missing()
        .forEach(
            shard ->
                hosts
                    .get(plan.sources().get(shard))
                    .tell(new Host.Fetch(plan.epoch(), shard, plan.step(), node)));
  }

  boolean hasAllShards() {
    return restore.missing().isEmpty();
  }

  /** Whether batches can be offered to everyone. */
  boolean isConnected() {
    return unconnected().isEmpty();
  }

  private List<NodeInfo> unconnected() {
    return plan.nodes().stream()
        .filter(peer -> peer.node() != node && !links.isConnected(peer.node()))
        .toList();
  }

  /** What is still waited for. */
  Host.Preparing waiting() {
    SortedSet<ShardId> missing = restore.missing();
    if (!missing.isEmpty()) {
      return new Host.Preparing(
          plan.epoch(),
          node,
          missing.size() + " shards, the first is " + missing.first(),
          missing.stream().map(plan.sources()::get).distinct().sorted().toList());
    }
    List<NodeInfo> unconnected = unconnected();
    return new Host.Preparing(
        plan.epoch(),
        node,
        unconnected.stream()
            .map(peer -> "a connection to " + peer.name())
            .collect(Collectors.joining(", ")),
        unconnected.stream().map(NodeInfo::node).toList());
  }
}
