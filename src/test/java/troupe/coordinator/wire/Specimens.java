package troupe.coordinator.wire;

import akka.actor.typed.ActorRef;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Draws values of every type that travels, edge cases more often than not. */
final class Specimens {
  private static final int[] INTS = {0, 1, 63, 64, 127, 128, 16_383, 16_384, -1, 1 << 30};
  private static final long[] LONGS = {0, 1, 127, 128, 1L << 40, Long.MAX_VALUE, Long.MIN_VALUE};
  private static final double[] DOUBLES = {
    0, -0.0, 1, Double.MIN_VALUE, Double.MAX_VALUE, Double.NaN, Double.NEGATIVE_INFINITY, 0.1
  };
  private static final String[] TEXTS = {
    "", "a", "10.0.0.1:25520", "\u00e4\u4e2d\ud83d\ude00\n", "x".repeat(300)
  };

  private final SplittableRandom random;
  private final List<? extends ActorRef<?>> refs;
  private final Map<Class<?>, WireType> types =
      WireTypes.ALL.stream().collect(Collectors.toMap(WireType::type, t -> t));

  Specimens(long seed, List<? extends ActorRef<?>> refs) {
    random = new SplittableRandom(seed);
    this.refs = refs;
  }

  /** A record or constant of a registered type. */
  Object of(WireType wire) {
    if (wire.type().isEnum()) {
      Object[] constants = wire.type().getEnumConstants();
      return constants[random.nextInt(constants.length)];
    }
    RecordComponent[] components = DeepText.components(wire.type());
    Class<?>[] parameters = new Class<?>[components.length];
    Object[] values = new Object[components.length];
    for (int i = 0; i < components.length; i++) {
      parameters[i] = components[i].getType();
      boolean isNullable =
          components[i].getType() == String.class
              || wire.nullable().contains(components[i].getName());
      values[i] = isNullable && random.nextInt(4) == 0 ? null : of(components[i].getGenericType());
    }
    try {
      return wire.type().getDeclaredConstructor(parameters).newInstance(values);
    } catch (ReflectiveOperationException e) {
      throw new AssertionError(wire.name(), e);
    }
  }

  private Object of(Type type) {
    if (type instanceof ParameterizedType generic) {
      return of((Class<?>) generic.getRawType(), generic.getActualTypeArguments());
    }
    Class<?> plain = (Class<?>) type;
    if (types.containsKey(plain)) {
      return of(types.get(plain));
    }
    if (plain.isSealed()) {
      List<Class<?>> travelling =
          List.of(plain.getPermittedSubclasses()).stream().filter(types::containsKey).toList();
      return of(types.get(travelling.get(random.nextInt(travelling.size()))));
    }
    return switch (plain.getName()) {
      case "int", "java.lang.Integer" -> nextInt();
      case "long", "java.lang.Long" -> nextLong();
      case "double", "java.lang.Double" -> nextDouble();
      case "boolean", "java.lang.Boolean" -> random.nextBoolean();
      case "java.lang.String" -> TEXTS[random.nextInt(TEXTS.length)];
      case "java.time.Duration" -> Duration.ofNanos(nextLong());
      case "[I" -> random.ints(random.nextInt(20)).toArray();
      case "[J" -> random.longs(random.nextInt(20)).toArray();
      case "[D" -> random.doubles(random.nextInt(20)).toArray();
      default -> throw new AssertionError("no specimen of " + type);
    };
  }

  private Object of(Class<?> raw, Type[] arguments) {
    if (raw == ActorRef.class) {
      return refs.get(random.nextInt(refs.size()));
    }
    int size = random.nextInt(4) == 0 ? 0 : random.nextInt(12);
    if (raw == Map.class || raw == SortedMap.class) {
      SortedMap<Object, Object> map = new TreeMap<>();
      for (int i = 0; i < size; i++) {
        map.put(of(arguments[0]), of(arguments[1]));
      }
      return map;
    }
    Collection<Object> values =
        raw == SortedSet.class
            ? new TreeSet<>()
            : raw == Set.class ? new LinkedHashSet<>() : new ArrayList<>();
    for (int i = 0; i < size; i++) {
      values.add(of(arguments[0]));
    }
    return values;
  }

  private int nextInt() {
    return random.nextBoolean() ? INTS[random.nextInt(INTS.length)] : random.nextInt();
  }

  private long nextLong() {
    return random.nextBoolean() ? LONGS[random.nextInt(LONGS.length)] : random.nextLong();
  }

  private double nextDouble() {
    return random.nextBoolean() ? DOUBLES[random.nextInt(DOUBLES.length)] : random.nextDouble();
  }
}
