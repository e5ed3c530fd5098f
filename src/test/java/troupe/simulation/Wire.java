package troupe.simulation;

import akka.actor.ExtendedActorSystem;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.internal.AdaptMessage;
import akka.actor.typed.javadsl.Adapter;
import troupe.coordinator.host.Host;
import troupe.coordinator.wire.KryoSerializer;

/** Turns control messages into bytes and back, as they go between nodes. */
final class Wire {
  private final KryoSerializer serializer;

  Wire(ActorSystem<?> system) {
    serializer = new KryoSerializer((ExtendedActorSystem) Adapter.toClassic(system));
  }

  /** What arrives when {@code message} is sent to another node. */
  Object carry(Object message) {
    return switch (message) {
      case Host.Command command -> throughBytes(command);
      // Sent to an adapter, which the mailbox is behind of already.
      case AdaptMessage<?, ?> adapted -> adapt(adapted);
      default -> message;
    };
  }

  private <U, T> AdaptMessage<U, T> adapt(AdaptMessage<U, T> adapted) {
    @SuppressWarnings("unchecked") // The same type comes back.
    U message = (U) throughBytes(adapted.message());
    return new AdaptMessage<>(message, adapted.adapter());
  }

  private Object throughBytes(Object message) {
    return serializer.fromBinary(serializer.toBinary(message), serializer.manifest(message));
  }
}
