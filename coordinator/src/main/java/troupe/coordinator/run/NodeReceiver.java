package troupe.coordinator.run;

import akka.actor.typed.ActorRef;
import java.util.List;
import java.util.Map;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.expert.ExpertActor;
import troupe.expert.network.TensorPayload;
import troupe.router.RouterActor;
import troupe.router.trunk.RankState;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;
import troupe.transport.Payload;

/** Gives every batch that arrives at this node to the actor it is for. */
final class NodeReceiver implements BatchReceiver {
  /** An expert of a layer. */
  record ExpertId(int layer, int expert) {}

  private final Device device;
  private final RunConfig config;
  private final RankState anyRank;
  private volatile List<ActorRef<RouterActor.Command>> routers = List.of();
  private volatile Map<ExpertId, ActorRef<ExpertActor.Command>> experts = Map.of();

  NodeReceiver(Device device, RunConfig config, RankState anyRank) {
    this.device = device;
    this.config = config;
    this.anyRank = anyRank;
  }

  void connect(
      List<ActorRef<RouterActor.Command>> newRouters,
      Map<ExpertId, ActorRef<ExpertActor.Command>> newExperts) {
    routers = List.copyOf(newRouters);
    experts = Map.copyOf(newExperts);
  }

  @Override
  public Payload allocate(BatchHeader header) {
    boolean fits =
        header.dtypeCode() == device.dtype().code()
            && header.rank() >= 0
            && header.rank() < config.train().ranks()
            && sizeFits(header);
    return fits ? TensorPayload.given(device.allocate(header.rows(), header.columns())) : null;
  }

  private boolean sizeFits(BatchHeader header) {
    return switch (header.phase()) {
      case FORWARD, OUTPUT, BACKWARD, INPUT_GRADIENT, EVALUATE ->
          header.columns() == config.model().dModel()
              && header.rows() <= (long) config.train().batch() * config.model().seq()
              && header.microBatch() >= 0
              && header.microBatch() < config.train().microBatches()
              && experts.containsKey(new ExpertId(header.layer(), header.expert()));
      case TRUNK_GRADIENT ->
          header.rows() == 1
              && anyRank
                  .segments()
                  .isSegment(header.expert(), header.microBatch(), header.columns());
      case TRUNK_PARAMETERS ->
          header.rows() == 1
              && header.microBatch() == 0
              && header.expert() >= 0
              && header.expert() < config.train().ranks()
              && header.columns() == anyRank.slices().count(header.rank());
      case REPLICA, RESTORE, CHECKPOINT -> false;
    };
  }

  @Override
  public void onBatch(BatchHeader header, Payload payload) {
    TensorPayload rows = (TensorPayload) payload;
    switch (header.phase()) {
      case FORWARD, BACKWARD, EVALUATE ->
          experts
              .get(new ExpertId(header.layer(), header.expert()))
              .tell(new ExpertActor.Deliver(header, rows));
      case OUTPUT, INPUT_GRADIENT ->
          routers.get(header.rank()).tell(new RouterActor.Deliver(header, rows));
      case TRUNK_GRADIENT, TRUNK_PARAMETERS ->
          routers.get(header.expert()).tell(new RouterActor.Deliver(header, rows));
      case REPLICA, RESTORE, CHECKPOINT -> rows.release();
    }
  }
}
