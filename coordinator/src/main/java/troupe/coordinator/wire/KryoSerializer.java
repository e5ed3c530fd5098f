package troupe.coordinator.wire;

import akka.actor.ExtendedActorSystem;
import akka.actor.typed.ActorRefResolver;
import akka.actor.typed.javadsl.Adapter;
import akka.serialization.ByteBufferSerializer;
import akka.serialization.SerializerWithStringManifest;
import java.nio.ByteBuffer;
import troupe.core.UserException;

/**
 * Control messages for Akka. Refuses to start where Java serialization is allowed. A message that
 * is refused is dropped by Artery, which says from whom it came; connections stay.
 */
public final class KryoSerializer extends SerializerWithStringManifest
    implements ByteBufferSerializer {
  /** Stands for this serializer in every frame; Akka's own are below 40. */
  static final int IDENTIFIER = 6001;

  private final ExtendedActorSystem system;
  private volatile WireFormat format;

  /** Called by Akka. */
  public KryoSerializer(ExtendedActorSystem system) {
    this.system = system;
    if (system.settings().config().getBoolean("akka.actor.allow-java-serialization")) {
      throw new UserException(
          "akka.actor.allow-java-serialization: on (expected: off)",
          "remove akka.actor.allow-java-serialization: it lets any sender run code");
    }
  }

  /** Made when first needed, for Akka makes serializers before the system can resolve actors. */
  private WireFormat format() {
    WireFormat current = format;
    if (current == null) {
      synchronized (this) {
        current = format;
        if (current == null) {
          current =
              new WireFormat(
                  WireTypes.ALL,
                  ActorRefResolver.get(Adapter.toTyped(system)),
                  WireLimits.of(system.settings().config()));
          format = current;
        }
      }
    }
    return current;
  }

  @Override
  public int identifier() {
    return IDENTIFIER;
  }

  @Override
  public String manifest(Object message) {
    return format().manifest(message);
  }

  @Override
  public byte[] toBinary(Object message) {
    return format().write(message);
  }

  @Override
  public void toBinary(Object message, ByteBuffer buffer) {
    format()
        .write(
            message,
            output -> {
              new WireLimits(buffer.remaining())
                  .check(WireType.nameOf(message.getClass()), output.position());
              return buffer.put(output.getBuffer(), 0, output.position());
            });
  }

  @Override
  public Object fromBinary(byte[] bytes, String manifest) {
    return format().read(manifest, bytes, bytes.length);
  }

  @Override
  public Object fromBinary(ByteBuffer buffer, String manifest) {
    byte[] bytes = new byte[buffer.remaining()];
    buffer.get(bytes);
    return format().read(manifest, bytes, bytes.length);
  }
}
