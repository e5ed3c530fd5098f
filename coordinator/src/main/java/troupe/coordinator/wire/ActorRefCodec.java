package troupe.coordinator.wire;

import akka.actor.ActorPathExtractor;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorRefResolver;
import com.esotericsoftware.kryo.Kryo;
import com.esotericsoftware.kryo.Serializer;
import com.esotericsoftware.kryo.io.Input;
import com.esotericsoftware.kryo.io.Output;

/** An actor reference of whatever class by its full path, incarnation included. */
final class ActorRefCodec extends Serializer<ActorRef<?>> {
  @SuppressWarnings("unchecked")
  private static final Serializer<String> TEXT =
      (Serializer<String>) ScalarCodecs.ALL.get(String.class);

  private final ActorRefResolver resolver;

  /**
   * @param resolver of the actor system; {@code null} where no references travel
   */
  ActorRefCodec(ActorRefResolver resolver) {
    super(false, true);
    this.resolver = resolver;
  }

  @Override
  public void write(Kryo kryo, Output output, ActorRef<?> ref) {
    if (resolver == null) {
      throw RefusedException.of(
          "a reference to an actor", "none", "this format is for measurements without actors");
    }
    TEXT.write(kryo, output, resolver.toSerializationFormat(ref));
  }

  @Override
  public ActorRef<?> read(Kryo kryo, Input input, Class<? extends ActorRef<?>> type) {
    String path = TEXT.read(kryo, input, String.class);
    // The resolver would turn nonsense into dead letters without a word.
    if (path == null || ActorPathExtractor.unapply(path).isEmpty()) {
      throw RefusedException.malformed("actor " + path, "akka://SYSTEM@HOST:PORT/PATH");
    }
    return resolver.resolveActorRef(path);
  }
}
