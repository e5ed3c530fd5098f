package troupe.simulation;

import troupe.core.tensor.Device;
import troupe.expert.ExpertActor;
import troupe.expert.network.TensorPayload;
import troupe.router.RouterActor;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;
import troupe.transport.Payload;

/** Gives every batch to the actor it is for. */
record ScatteredReceiver(Device device, ScatteredOwners owners) implements BatchReceiver {
  @Override
  public Payload allocate(BatchHeader header) {
    return TensorPayload.given(device.allocate(header.rows(), header.columns()));
  }

  @Override
  public void onBatch(BatchHeader header, Payload payload) {
    TensorPayload rows = (TensorPayload) payload;
    switch (header.phase()) {
      case FORWARD, BACKWARD, EVALUATE ->
          owners
              .expert(header.layer(), header.expert())
              .tell(new ExpertActor.Deliver(header, rows));
      case OUTPUT, INPUT_GRADIENT ->
          owners.router(header.rank()).tell(new RouterActor.Deliver(header, rows));
      case TRUNK_GRADIENT, TRUNK_PARAMETERS ->
          owners.router(header.expert()).tell(new RouterActor.Deliver(header, rows));
      case REPLICA, RESTORE, CHECKPOINT -> throw new IllegalArgumentException("batch: " + header);
    }
  }
}
