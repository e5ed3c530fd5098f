package troupe.coordinator.host;

import akka.actor.typed.ActorRef;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import troupe.core.config.RunConfig;
import troupe.transport.Phase;

/**
 * Shards on their way: copies of what lives here go to other nodes, theirs come here, and every
 * sender hears what has arrived. Used by the thread of the host.
 */
final class ShardTraffic {
  /** A shard of which nothing was heard for so long is sent again, and so often. */
  private static final Duration COURIER_TIMEOUT = Duration.ofSeconds(3);

  private static final int COURIER_ATTEMPTS = 5;

  private static final long NONE = -1;

  private final int node;
  private final RunConfig.Replicate config;
  private final ShardStore store;
  private final CheckpointSink sink;
  private final Courier courier;
  private final Arrivals arrivals;
  private int epoch;
  private EpochPlan plan;
  private Map<Integer, ActorRef<Host.Command>> hosts = Map.of();
  private ReceiptBook receipts;
  private CopyRound round;
  private long replicatedStep = NONE;

  /**
   * Nothing is on its way.
   *
   * @param store where copies are kept
   * @param self told, on its own thread, of what happens on others
   */
  ShardTraffic(
      Host.Settings settings,
      ShardMemory memory,
      ShardStore store,
      ActorRef<Host.Command> self,
      Courier.Listener undelivered) {
    this.node = settings.info().node();
    this.config = settings.model().config().replicate();
    this.store = store;
    this.sink = settings.sink();
    this.courier =
        new Courier(
            settings.links().transport(),
            memory.catalog(),
            new Courier.Settings(settings.runId(), COURIER_TIMEOUT, COURIER_ATTEMPTS),
            work -> self.tell(new Host.Later(work)),
            settings.nanoTime(),
            undelivered);
    this.arrivals = new Arrivals(settings.runId(), memory, listener(self));
    settings.receiver().shardsTo(arrivals);
  }

  private static Arrivals.Listener listener(ActorRef<Host.Command> self) {
    return new Arrivals.Listener() {
      @Override
      public void onWhole(int arrivedIn, Phase phase, ShardCopy copy) {
        self.tell(new Host.Whole(arrivedIn, phase, copy));
      }

      @Override
      public void onRepeated(int arrivedIn, Phase phase, ShardId shard, long step) {
        self.tell(new Host.Repeated(arrivedIn, phase, shard, step));
      }
    };
  }

  /** Nothing that was on its way is wanted any more; from now on it is what is of this epoch. */
  void fence(int newEpoch) {
    epoch = newEpoch;
    arrivals.epoch(epoch);
    courier.epoch(epoch);
    round = null;
    replicatedStep = NONE;
  }

  /** An epoch is planned. */
  void begin(EpochPlan newPlan, Map<Integer, ActorRef<Host.Command>> newHosts) {
    plan = newPlan;
    hosts = newHosts;
    receipts = new ReceiptBook(plan, node, config);
  }

  private boolean isPlanned() {
    return plan != null && plan.epoch() == epoch;
  }

  /** To be called every now and then: sends what is due. */
  void tick() {
    courier.tick();
    if (isPlanned()) {
      receipts.takeAll().forEach(this::tell);
    }
  }

  private void tell(int sender, List<Host.Arrived> arrived) {
    if (!arrived.isEmpty()) {
      hosts.get(sender).tell(new Host.Receipts(arrived));
    }
  }

  /** Sends a shard that another node lacks; the reference to {@code copy} is the traffic's now. */
  void restore(int toNode, ShardCopy copy) {
    courier.send(toNode, Phase.RESTORE, copy);
  }

  /**
   * Copies of a committed step are wanted.
   *
   * @return whether a round begins; else they are where they belong
   */
  boolean beginRound(long step) {
    if (round == null && step == replicatedStep) {
      return false;
    }
    round = new CopyRound(plan, node, new ReplicaRing(plan, config), step);
    return true;
  }

  /**
   * Of the ranks here, the one that copies the trunk in the round at hand; -1 if there are none.
   */
  int trunkFrom(Collection<Integer> ranksHere) {
    return round.trunkFrom(ranksHere);
  }

  /** An owner has copied its state; the reference to {@code copy} is the traffic's now. */
  void onCopied(Phase purpose, int writer, ShardCopy copy) {
    if (purpose == Phase.REPLICA) {
      onReplica(copy);
    } else if (writer == node) {
      sink.offer(epoch, copy);
    } else {
      courier.send(writer, Phase.CHECKPOINT, copy);
    }
  }

  private void onReplica(ShardCopy copy) {
    if (round == null || !round.onCopied(copy)) {
      copy.release();
      return;
    }
    for (int target : round.targets(copy.shard())) {
      courier.send(target, Phase.REPLICA, copy.retain());
    }
    store.put(copy);
  }

  /** A shard has come; returns whether the store has it now. */
  boolean onWhole(Phase phase, ShardCopy copy) {
    confirm(copy.shard(), copy.step(), phase);
    return switch (phase) {
      case CHECKPOINT -> {
        sink.offer(epoch, copy);
        yield false;
      }
      case REPLICA, RESTORE -> {
        store.put(copy);
        yield true;
      }
      case FORWARD, OUTPUT, BACKWARD, INPUT_GRADIENT, EVALUATE, TRUNK_GRADIENT, TRUNK_PARAMETERS ->
          throw new IllegalStateException("shard with phase " + phase);
    };
  }

  /** Whoever sent a shard will hear that it is here. */
  void confirm(ShardId shard, long step, Phase phase) {
    if (isPlanned()) {
      plan.sender(phase, shard)
          .ifPresent(
              from ->
                  tell(
                      from, receipts.add(from, new Host.Arrived(epoch, shard, step, phase, node))));
    }
  }

  /** A shard from here has arrived at another node. */
  void onArrived(Host.Arrived arrived) {
    if (arrived.epoch() == epoch) {
      courier.confirm(arrived);
      if (round != null && arrived.phase() == Phase.REPLICA) {
        round.onArrived(arrived.shard(), arrived.step(), arrived.node());
      }
    }
  }

  /** Whether all copies of the round at hand are where they belong; said once a round. */
  boolean endRound() {
    if (round == null || !round.isComplete()) {
      return false;
    }
    replicatedStep = round.step();
    round = null;
    return true;
  }

  /** The step of the last round that was complete. */
  long replicatedStep() {
    return replicatedStep;
  }

  /** Gives up what is on its way. */
  void close() {
    courier.abandonAll();
    arrivals.close();
  }
}
