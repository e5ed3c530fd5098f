package troupe.coordinator.host;

import akka.actor.typed.ActorRef;
import java.util.List;
import java.util.Map;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.placement.NodeInfo;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/**
 * Keeps the routers and experts that live on a node, their committed state, and copies of the state
 * of other nodes. The coordinator talks to hosts only, so its messages grow with nodes, not with
 * experts.
 *
 * <pre>
 *   IDLE, RUNNING, PREPARING: Report of a newer epoch -> FENCED     (all actors stop; answers Inventory)
 *   FENCED:    Prepare                                -> PREPARING  (fetches what it lacks)
 *   PREPARING: every shard is there                   -> RUNNING    (spawns actors; answers Prepared)
 *   RUNNING:   commands to routers and experts        -> RUNNING    (their events go up in bundles)
 *   any:       Finish                                 -> STOPPED
 * </pre>
 *
 * A message of an epoch older than the newest one heard of is dropped: whoever was away while the
 * others went on cannot change anything.
 */
public final class Host {
  private Host() {}

  /** What a host is told. */
  public sealed interface Command
      permits Report,
          Prepare,
          ToRouters,
          ToRouter,
          ToExperts,
          ToExpert,
          Replicate,
          Keep,
          Checkpoint,
          Release,
          Leave,
          Finish,
          Fetch,
          Arrived {}

  /**
   * An epoch is about to begin: stop everything of older ones and say what you have. May be
   * repeated.
   *
   * @param withDisk whether to look for checkpoints too, which takes a while
   */
  public record Report(int epoch, boolean withDisk, ActorRef<Event> coordinator)
      implements Command {}

  /** The epoch is planned: become what the plan says. May be repeated. */
  public record Prepare(EpochPlan plan, Map<Integer, ActorRef<Command>> hosts) implements Command {}

  /** For all routers here. */
  public record ToRouters(int epoch, RouterActor.Command command) implements Command {}

  /** For one router here. */
  public record ToRouter(int epoch, int rank, RouterActor.Command command) implements Command {}

  /** For all experts here. */
  public record ToExperts(int epoch, ExpertActor.Command command) implements Command {}

  /** For one expert here. */
  public record ToExpert(int epoch, int layer, int expert, ExpertActor.Command command)
      implements Command {}

  /** The step is committed: copy everything as it is now, and send copies to other nodes. */
  public record Replicate(int epoch, long step) implements Command {}

  /** All copies of a step are where they belong: forget older ones. */
  public record Keep(int epoch, long step) implements Command {}

  /** The step is committed: copy everything as it is now for the checkpoint writer of a node. */
  public record Checkpoint(int epoch, long step, int writer) implements Command {}

  /** Nothing lives here any more: the node may go. */
  public record Release(int epoch) implements Command {}

  /** Whoever runs this process wants it to end; said by the node itself. */
  public record Leave() implements Command {}

  /** The run is over. */
  public record Finish(Outcome outcome) implements Command {}

  /** Another host asks for a shard. May be repeated. */
  public record Fetch(int epoch, ShardId shard, long step, int toNode) implements Command {}

  /** Another host has the whole of a shard that was sent to it. */
  public record Arrived(int epoch, ShardId shard, long step, troupe.transport.Phase phase, int node)
      implements Command {}

  /** What a host tells the coordinator. */
  public sealed interface Event
      permits Reported, Stale, Prepared, Preparing, Failed, Leaving, Bundle, Replicated {
    /** The epoch it is about. */
    int epoch();

    /** The node of the host. */
    int node();
  }

  /** Nothing of an older epoch is done here any more. */
  public record Reported(
      int epoch, NodeInfo info, ActorRef<Command> host, Inventory inventory, boolean leaving)
      implements Event {
    @Override
    public int node() {
      return info.node();
    }
  }

  /** The epoch asked for is not newer than one that this host knows. */
  public record Stale(int epoch, int node, int newest) implements Event {}

  /** This node was asked to go: nothing should live here any more. */
  public record Leaving(int epoch, int node) implements Event {}

  /** All actors of the plan are there, at its step. */
  public record Prepared(int epoch, int node) implements Event {}

  /** Shards are still on their way; said every second. */
  public record Preparing(int epoch, int node, String waitingFor) implements Event {}

  /** This node cannot do what it was told, and another try would not help. */
  public record Failed(int epoch, int node, String message, String hint) implements Event {}

  /** Events of routers and experts, in order; reports that all are expected to give go together. */
  public record Bundle(
      int epoch, int node, List<RouterActor.Event> routers, List<ExpertActor.Event> experts)
      implements Event {
    /** Copies the lists. */
    public Bundle {
      routers = List.copyOf(routers);
      experts = List.copyOf(experts);
    }
  }

  /** Every copy of this node's state at {@code step} is where it belongs. */
  public record Replicated(int epoch, int node, long step, long bytes) implements Event {}
}
