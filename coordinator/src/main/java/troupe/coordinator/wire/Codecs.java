package troupe.coordinator.wire;

import akka.actor.typed.ActorRef;
import com.esotericsoftware.kryo.Serializer;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import troupe.coordinator.host.ShardId;
import troupe.coordinator.placement.ExpertId;

/**
 * Finds the codec of a declared type. Reading is led by what the protocols declare, not by what a
 * message claims: an element of a list of events is an event, or the message is refused.
 */
final class Codecs {
  private final Map<Class<?>, WireType> registered = new HashMap<>();
  private final Map<Class<?>, Serializer<Object>> built = new HashMap<>();
  private final ActorRefCodec refs;

  Codecs(Collection<WireType> types, ActorRefCodec refs) {
    this.refs = refs;
    types.forEach(wire -> registered.put(wire.type(), wire));
  }

  /**
   * The codec of a registered type.
   *
   * @throws IllegalArgumentException if something in it cannot travel
   */
  Serializer<Object> of(WireType wire) {
    // No computeIfAbsent: records hold records.
    Serializer<Object> codec = built.get(wire.type());
    if (codec == null) {
      codec =
          wire.type().isEnum() ? new EnumCodec(wire.type()) : new RecordCodec(wire, this::ofType);
      built.put(wire.type(), codec);
    }
    return codec;
  }

  private Serializer<Object> ofType(Type type) {
    if (type instanceof ParameterizedType generic) {
      return ofGeneric((Class<?>) generic.getRawType(), generic.getActualTypeArguments());
    }
    if (!(type instanceof Class<?> plain)) {
      throw unsupported(type);
    }
    if (ScalarCodecs.ALL.containsKey(plain)) {
      return erased(ScalarCodecs.ALL.get(plain));
    }
    if (registered.containsKey(plain)) {
      return of(registered.get(plain));
    }
    if (plain.isSealed()) {
      return new AnyOfCodec(plain);
    }
    throw unsupported(type);
  }

  private Serializer<Object> ofGeneric(Class<?> raw, Type[] arguments) {
    if (raw == ActorRef.class) {
      return erased(refs);
    }
    if (raw == List.class || raw == Set.class || raw == SortedSet.class) {
      return erased(new CollectionCodec(raw, ofType(arguments[0])));
    }
    if (raw == SortedMap.class && arguments[0] == ShardId.class) {
      return erased(new DenseMapCodec<>(DenseKey.SHARD, ofType(arguments[1])));
    }
    if (raw == SortedMap.class && arguments[0] == ExpertId.class) {
      return erased(new DenseMapCodec<>(DenseKey.EXPERT, ofType(arguments[1])));
    }
    if (raw == Map.class || raw == SortedMap.class) {
      return erased(
          new MapCodec(raw == SortedMap.class, ofType(arguments[0]), ofType(arguments[1])));
    }
    throw unsupported(raw);
  }

  private static IllegalArgumentException unsupported(Type type) {
    return new IllegalArgumentException(
        "component: "
            + type.getTypeName()
            + " (expected: a type of WireTypes, a sealed interface, a number, String, Duration,"
            + " ActorRef, int[], long[], double[], List, Set, SortedSet, Map, SortedMap)");
  }

  /** Codecs are put together by type at run time, where the compiler cannot follow. */
  @SuppressWarnings("unchecked")
  private static Serializer<Object> erased(Serializer<?> codec) {
    return (Serializer<Object>) codec;
  }
}
