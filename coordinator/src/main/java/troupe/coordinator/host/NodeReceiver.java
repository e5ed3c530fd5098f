package troupe.coordinator.host;

import akka.actor.typed.ActorRef;
import java.lang.foreign.MemorySegment;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import troupe.coordinator.placement.ExpertId;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DType;
import troupe.core.tensor.Device;
import troupe.core.tensor.Staged;
import troupe.expert.ExpertActor;
import troupe.expert.network.TensorPayload;
import troupe.router.RouterActor;
import troupe.router.trunk.Segments;
import troupe.router.trunk.Slices;
import troupe.router.trunk.TrunkParameters;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;
import troupe.transport.Payload;
import troupe.transport.PickUp;

/** Gives every batch that arrives at this node to the actor it is for, or to the shards. */
public final class NodeReceiver implements BatchReceiver {
  /** An actor, and the device on which it needs the rows that it is sent. */
  record Owner<C>(ActorRef<C> actor, Device device) {}

  private record Actors(
      Map<Integer, Owner<RouterActor.Command>> routers,
      Map<ExpertId, Owner<ExpertActor.Command>> experts) {}

  private static final Actors NOBODY = new Actors(Map.of(), Map.of());

  private final Device device;
  private final RunConfig config;
  private final Slices slices;
  private final Segments segments;

  /** Those that may have picked up rows of other processes. */
  private final Set<Device> neighbours = ConcurrentHashMap.newKeySet();

  private volatile Actors actors = NOBODY;
  private volatile BatchReceiver shards;

  /** A receiver that refuses everything until actors are connected. */
  public NodeReceiver(Device device, RunConfig config) {
    this.device = device;
    this.config = config;
    this.slices = new Slices(TrunkParameters.layout(config).size(), config.train().ranks());
    this.segments = Segments.of(config);
  }

  /** Parts of shards go here. */
  void shardsTo(BatchReceiver arrivals) {
    shards = arrivals;
  }

  /** Batches go to these actors from now on. */
  void connect(
      Map<Integer, Owner<RouterActor.Command>> routers,
      Map<ExpertId, Owner<ExpertActor.Command>> experts) {
    actors = new Actors(Map.copyOf(routers), Map.copyOf(experts));
  }

  /** Batches are refused from now on: their epoch is over. */
  void disconnect() {
    actors = NOBODY;
  }

  @Override
  public Payload allocate(BatchHeader header) {
    return switch (header.phase()) {
      case REPLICA, RESTORE, CHECKPOINT -> shards == null ? null : shards.allocate(header);
      case FORWARD, OUTPUT, BACKWARD, INPUT_GRADIENT, EVALUATE, TRUNK_GRADIENT, TRUNK_PARAMETERS ->
          fits(header) ? place(header) : null;
    };
  }

  private Payload place(BatchHeader header) {
    if (!device.isHostMemory()) {
      Owner<?> owner = owner(actors, header);
      return owner == null
          ? null
          : new StagedRows(owner.device(), owner.device().receive(header.payloadBytes()));
    }
    return TensorPayload.given(
        isActivations(header)
            ? device.allocateActivations(header.rows(), header.columns())
            : device.allocate(header.rows(), header.columns()));
  }

  @Override
  public PickUp pickUp(int node, BatchHeader header, byte[] reference) {
    Owner<?> owner = fits(header) ? owner(actors, header) : null;
    if (owner == null) {
      return null;
    }
    neighbours.add(owner.device());
    Device.PickedUp rows =
        owner
            .device()
            .pickUp(node, reference, header.rows(), header.columns(), isActivations(header));
    return rows == null
        ? PickUp.OUT_OF_REACH
        : new PickUp(TensorPayload.arrived(rows.tensor()), rows.over(), rows.abandon());
  }

  @Override
  public void forget(int node) {
    neighbours.forEach(each -> each.forget(node));
  }

  private static boolean isActivations(BatchHeader header) {
    return switch (header.phase()) {
      case FORWARD, OUTPUT, BACKWARD, INPUT_GRADIENT, EVALUATE -> true;
      case TRUNK_GRADIENT, TRUNK_PARAMETERS, REPLICA, RESTORE, CHECKPOINT -> false;
    };
  }

  /** Rows that come to the host, on their way to the device of whom they are for. */
  private record StagedRows(Device device, Staged staged) implements Payload {
    @Override
    public MemorySegment bytes() {
      return staged.bytes();
    }

    @Override
    public void release() {
      staged.close();
    }
  }

  /** What has come, on the device. */
  private static TensorPayload rows(BatchHeader header, Payload payload) {
    return payload instanceof StagedRows rows
        ? TensorPayload.arrived(
            rows.device()
                .copyIn(header.rows(), header.columns(), isActivations(header), rows.staged()))
        : (TensorPayload) payload;
  }

  private boolean fits(BatchHeader header) {
    DType type = isActivations(header) ? device.activationType() : device.dtype();
    return header.dtypeCode() == type.code()
        && header.rank() >= 0
        && header.rank() < config.train().ranks()
        && sizeFits(header);
  }

  private boolean sizeFits(BatchHeader header) {
    return switch (header.phase()) {
      case FORWARD, BACKWARD, EVALUATE ->
          rowsFit(header) && actors.experts().containsKey(expert(header));
      case OUTPUT, INPUT_GRADIENT -> rowsFit(header) && actors.routers().containsKey(header.rank());
      case TRUNK_GRADIENT ->
          header.rows() == 1
              && segments.isSegment(header.expert(), header.microBatch(), header.columns())
              && actors.routers().containsKey(header.expert());
      case TRUNK_PARAMETERS ->
          header.rows() == 1
              && header.microBatch() == 0
              && header.columns() == slices.count(header.rank())
              && actors.routers().containsKey(header.expert());
      case REPLICA, RESTORE, CHECKPOINT -> false;
    };
  }

  private boolean rowsFit(BatchHeader header) {
    return header.columns() == config.model().dModel()
        && header.microBatch() >= 0
        && header.microBatch() < config.train().microBatches()
        && header.rows() <= (long) config.train().batch() * config.model().seq();
  }

  private static ExpertId expert(BatchHeader header) {
    return new ExpertId(header.layer(), header.expert());
  }

  /** Whom a batch is for, or {@code null} if it is for nobody here. */
  private static Owner<?> owner(Actors among, BatchHeader header) {
    return switch (header.phase()) {
      case FORWARD, BACKWARD, EVALUATE -> among.experts().get(expert(header));
      case OUTPUT, INPUT_GRADIENT -> among.routers().get(header.rank());
      case TRUNK_GRADIENT, TRUNK_PARAMETERS -> among.routers().get(header.expert());
      case REPLICA, RESTORE, CHECKPOINT -> null;
    };
  }

  @Override
  public boolean isForAnotherDevice(BatchHeader header, Payload payload) {
    Owner<?> owner = owner(actors, header);
    return owner != null
        && payload instanceof TensorPayload rows
        && rows.tensor().device() != owner.device();
  }

  @Override
  public void onBatch(BatchHeader header, Payload payload) {
    Actors now = actors;
    switch (header.phase()) {
      case FORWARD, BACKWARD, EVALUATE -> {
        Owner<ExpertActor.Command> expert = now.experts().get(expert(header));
        if (expert == null) {
          payload.release();
        } else {
          expert.actor().tell(new ExpertActor.Deliver(header, rows(header, payload)));
        }
      }
      case OUTPUT, INPUT_GRADIENT -> toRouter(now, header.rank(), header, payload);
      case TRUNK_GRADIENT, TRUNK_PARAMETERS -> toRouter(now, header.expert(), header, payload);
      case REPLICA, RESTORE, CHECKPOINT -> {
        if (shards == null) {
          payload.release();
        } else {
          shards.onBatch(header, payload);
        }
      }
    }
  }

  private static void toRouter(Actors now, int rank, BatchHeader header, Payload payload) {
    Owner<RouterActor.Command> router = now.routers().get(rank);
    if (router == null) {
      payload.release();
    } else {
      router.actor().tell(new RouterActor.Deliver(header, rows(header, payload)));
    }
  }
}
