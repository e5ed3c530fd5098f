package troupe.coordinator.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.serialization.Serialization;
import akka.serialization.SerializationExtension;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import troupe.coordinator.host.Host;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

class WireTypesTest {
  private static final Set<Class<?>> REGISTERED =
      WireTypes.ALL.stream().map(WireType::type).collect(Collectors.toSet());

  @Test
  void shouldNeverGiveANumberToAnotherType() throws IOException {
    Map<Integer, String> known = new TreeMap<>();
    try (InputStream file = WireTypesTest.class.getResourceAsStream("/wire-ids.tsv")) {
      new String(file.readAllBytes(), StandardCharsets.US_ASCII)
          .lines()
          .filter(line -> !line.startsWith("#"))
          .map(line -> line.split("\t"))
          .forEach(
              field -> {
                String before = known.put(Integer.parseInt(field[0]), field[1]);
                assertEquals(null, before, "twice in wire-ids.tsv: " + field[0]);
              });
    }
    for (WireType wire : WireTypes.ALL) {
      assertEquals(
          wire.type().getName(),
          known.get(wire.id()),
          "number "
              + wire.id()
              + ": add a new type as a new line to wire-ids.tsv, with a number"
              + " that was never there");
    }
    assertEquals(WireTypes.ALL.size(), WireTypes.ALL.stream().map(WireType::id).distinct().count());
  }

  @Test
  void shouldRegisterEverythingThatHostsSay() {
    Set<Class<?>> reachable = new LinkedHashSet<>();
    for (Class<?> root :
        List.of(
            Host.Command.class,
            Host.Event.class,
            Host.Answer.class,
            RouterActor.Command.class,
            RouterActor.Event.class,
            ExpertActor.Command.class,
            ExpertActor.Event.class)) {
      walk(root, reachable, new HashSet<>());
    }
    Set<String> missing =
        reachable.stream()
            .filter(type -> !REGISTERED.contains(type))
            .map(Class::getName)
            .collect(Collectors.toSet());
    assertEquals(Set.of(), missing, "add to WireTypes, or declare local");
    assertTrue(reachable.size() > 45, "the walk found only " + reachable);
    Set<Class<?>> unreachable = new HashSet<>(REGISTERED);
    unreachable.removeAll(reachable);
    unreachable.removeIf(
        type -> !type.getName().startsWith("troupe.coordinator.host.") && isMessage(type));
    assertEquals(Set.of(), unreachable, "nobody sends these");
  }

  private static boolean isMessage(Class<?> type) {
    return WireTypes.ALL.stream().anyMatch(wire -> wire.type() == type && wire.isMessage());
  }

  /** Collects records and enums; what is not public, such as a timer's message, is local. */
  private static void walk(Type type, Set<Class<?>> reachable, Set<Type> seen) {
    if (!seen.add(type)) {
      return;
    }
    if (type instanceof ParameterizedType generic) {
      if (generic.getRawType() != ActorRef.class) {
        List.of(generic.getActualTypeArguments())
            .forEach(argument -> walk(argument, reachable, seen));
      }
      return;
    }
    Class<?> plain = (Class<?>) type;
    if (WireTypes.LOCAL_ONLY.contains(plain)) {
      return;
    }
    if (plain.isSealed()) {
      List.of(plain.getPermittedSubclasses()).stream()
          .filter(one -> Modifier.isPublic(one.getModifiers()) || one.isInterface())
          .forEach(one -> walk(one, reachable, seen));
    } else if (plain.isRecord()) {
      reachable.add(plain);
      for (RecordComponent component : plain.getRecordComponents()) {
        walk(component.getGenericType(), reachable, seen);
      }
    } else if (plain.isEnum()) {
      reachable.add(plain);
    } else {
      assertNotNull(ScalarCodecs.ALL.get(plain), "cannot travel: " + plain);
    }
  }

  @Test
  void shouldKeepLocalMessagesUnregistered() {
    for (Class<?> local : WireTypes.LOCAL_ONLY) {
      assertFalse(REGISTERED.contains(local), local.getName());
    }
  }

  @Test
  void shouldServeEveryMessageWithTheSettingsThatShip() throws Exception {
    ActorSystem<Void> system = WireSystems.start("bindings");
    try {
      Serialization serialization = SerializationExtension.get(system);
      for (WireType wire : WireTypes.ALL) {
        if (wire.isMessage()) {
          assertInstanceOf(
              KryoSerializer.class,
              serialization.serializerFor(wire.type()),
              wire.name() + ": add its sealed interface to wire.conf");
        }
      }
      for (Object serializer :
          scala.jdk.javaapi.CollectionConverters.asJava(serialization.serializerByIdentity())
              .values()) {
        assertFalse(
            serializer.getClass() == akka.serialization.JavaSerializer.class, "Java serialization");
      }
    } finally {
      system.terminate();
      system.getWhenTerminated().toCompletableFuture().get(30, TimeUnit.SECONDS);
    }
  }

  @Test
  void shouldTellBuildsApart() {
    assertTrue(WireTypes.fingerprint().matches("[0-9a-f]{8}"));
    assertEquals(WireTypes.fingerprint(), WireTypes.computeFingerprint());
  }
}
