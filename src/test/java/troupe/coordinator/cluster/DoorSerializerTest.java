package troupe.coordinator.cluster;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.ExtendedActorSystem;
import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.javadsl.Adapter;
import java.io.NotSerializableException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class DoorSerializerTest {
  private static ActorTestKit kit;
  private static DoorSerializer serializer;
  private static TestProbe<Door.Reply> probe;

  @BeforeAll
  static void begin() {
    kit = ActorTestKit.create();
    serializer = new DoorSerializer((ExtendedActorSystem) Adapter.toClassic(kit.system()));
    probe = kit.createTestProbe();
  }

  @AfterAll
  static void end() {
    kit.shutdownTestKit();
  }

  @Test
  void shouldReadWhatItWrote() throws Exception {
    for (Door.Message message : messages()) {
      Object read =
          serializer.fromBinary(serializer.toBinary(message), serializer.manifest(message));
      assertEquals(message, read);
    }
  }

  @Test
  void shouldIgnoreWhatOtherVersionsAdd() throws Exception {
    String json = "{\"address\":\"a:1\",\"runId\":7,\"colour\":\"green\"}";
    assertEquals(
        new Door.Welcome("a:1", 7),
        serializer.fromBinary(json.getBytes(StandardCharsets.UTF_8), "Welcome"));
  }

  @Test
  void shouldRefuseWhatIsNotSaidAtADoor() {
    assertUnreadable("{}", "java.lang.String", "nothing that is said at a door");
    assertUnreadable("{}", "Ask:Explode", "a field is missing");
    assertUnreadable("{\"runId\":7}", "Welcome", "a field is missing");
    assertUnreadable("[]", "Welcome", "");
    assertUnreadable("\"" + "x".repeat(70_000) + "\"", "Welcome", "at most 65536");
  }

  /** Garbage never does anything but to be refused. */
  @Test
  void shouldRefuseGarbage() {
    long seed = new Random().nextLong();
    Random random = new Random(seed);
    List<Door.Message> messages = messages();
    for (int i = 0; i < 4_000; i++) {
      Door.Message message = messages.get(random.nextInt(messages.size()));
      byte[] bytes = serializer.toBinary(message);
      for (int change = random.nextInt(4); change >= 0; change--) {
        bytes[random.nextInt(bytes.length)] = (byte) random.nextInt(256);
      }
      try {
        assertInstanceOf(
            Door.Message.class, serializer.fromBinary(bytes, serializer.manifest(message)));
      } catch (NotSerializableException expected) {
        // That is all it may throw.
      } catch (RuntimeException | StackOverflowError e) {
        throw new AssertionError("seed=" + seed + " i=" + i, e);
      }
    }
  }

  private static List<Door.Message> messages() {
    Identity identity = new Identity("1.2", 3, "run", Map.of("seed", "0", "a.b", "\"x\""), "n-1");
    return List.of(
        new Door.Knock(identity, "a:1", 1234567890123L, probe.getRef()),
        new Door.Ask("1.2", "run", new Door.MoveExpert(1, 2, "n-2"), probe.getRef()),
        new Door.Ask("1.2", "run", new Door.Leave("n-2"), probe.getRef()),
        new Door.Ask("1.2", "run", new Door.Stop(), probe.getRef()),
        new Door.Welcome("a:1", Long.MIN_VALUE),
        new Door.NotYet("a:1", "why"),
        new Door.Refused("a:1", "a: b (expected: c)", "hint \u00e9", true),
        new Door.Accepted("done"));
  }

  private static void assertUnreadable(String json, String manifest, String why) {
    NotSerializableException refused =
        assertThrows(
            NotSerializableException.class,
            () -> serializer.fromBinary(json.getBytes(StandardCharsets.UTF_8), manifest));
    assertTrue(refused.getMessage().contains(why), refused.getMessage());
  }
}
