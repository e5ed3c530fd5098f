package troupe.coordinator.wire;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorRefResolver;
import com.typesafe.config.ConfigFactory;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.Inventory;
import troupe.coordinator.host.ShardId;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Place;
import troupe.coordinator.placement.Placement;
import troupe.core.tensor.AdamWStep;
import troupe.router.RouterActor;

class WireFormatTest {
  private static final int SPECIMENS = 200;
  private static final WireLimits LIMITS = WireLimits.of(ConfigFactory.load());
  private static final ActorTestKit KIT = ActorTestKit.create("wire", ConfigFactory.load());

  private final long seed = Long.getLong("wire.seed", ThreadLocalRandom.current().nextLong());
  private final List<ActorRef<Object>> refs =
      List.of(KIT.createTestProbe().getRef(), KIT.createTestProbe("other").getRef());
  private final WireFormat format = format(WireTypes.ALL, LIMITS);

  @AfterAll
  static void shutDown() {
    KIT.shutdownTestKit();
  }

  private static WireFormat format(List<WireType> types, WireLimits limits) {
    return new WireFormat(types, ActorRefResolver.get(KIT.system()), limits);
  }

  private Object roundTrip(Object message) {
    byte[] bytes = format.write(message);
    return format.read(format.manifest(message), bytes, bytes.length);
  }

  @Test
  void shouldReadEveryTypeAsItWasWritten() {
    // Parts alone, too: as messages of a format of their own.
    WireFormat all =
        format(
            WireTypes.ALL.stream()
                .map(wire -> new WireType(wire.id(), wire.type(), true, wire.nullable()))
                .toList(),
            LIMITS);
    Specimens specimens = new Specimens(seed, refs);
    for (WireType wire : WireTypes.ALL) {
      for (int i = 0; i < SPECIMENS; i++) {
        Object message = specimens.of(wire);
        byte[] bytes = all.write(message);
        Object read = all.read(all.manifest(message), bytes, bytes.length);
        assertEquals(DeepText.of(message), DeepText.of(read), "-Dwire.seed=" + seed);
        assertArrayEquals(bytes, all.write(read), "-Dwire.seed=" + seed);
      }
    }
  }

  @Test
  void shouldReadSharedlyFromManyThreads() throws Exception {
    try (ExecutorService threads = Executors.newFixedThreadPool(8)) {
      Callable<Void> work =
          () -> {
            Specimens specimens = new Specimens(ThreadLocalRandom.current().nextLong(), refs);
            for (WireType wire : WireTypes.ALL) {
              for (int i = 0; wire.isMessage() && i < 50; i++) {
                Object message = specimens.of(wire);
                assertEquals(DeepText.of(message), DeepText.of(roundTrip(message)));
              }
            }
            return null;
          };
      for (Future<Void> result : threads.invokeAll(List.of(work, work, work, work, work, work))) {
        result.get();
      }
    }
  }

  @Test
  void shouldReadWhatNobodyCanChange() {
    Host.Prepare read =
        (Host.Prepare)
            roundTrip(
                new Host.Prepare(
                    new EpochPlan(
                        3,
                        7,
                        List.of(),
                        new Placement(new TreeMap<>(), List.of(new Place(1, 0))),
                        new TreeMap<>()),
                    Map.of(5, KIT.<Host.Command>createTestProbe().getRef())));
    assertThrows(UnsupportedOperationException.class, () -> read.hosts().clear());
    assertEquals(Set.of(5), read.hosts().keySet());
  }

  @Test
  void shouldWriteStepsInAFewBytes() {
    byte[] step =
        format.write(
            new Host.ToRouters(3, new RouterActor.Step(3, 1_000, Duration.ofMillis(2_500))));
    // Epoch, type, epoch, step in two bytes, a duration in at most eight, checksum in four.
    assertTrue(step.length <= 17, "bytes: " + step.length);
  }

  @Test
  void shouldRefuseLocalMessages() {
    assertRefused(
        "ExpertActor.TakeSnapshot (expected: a type that travels)",
        () ->
            format.write(
                new Host.ToExperts(1, new troupe.expert.ExpertActor.TakeSnapshot(state -> {}))));
    assertRefused(
        "RouterActor.TakeSnapshot (expected: a type that travels)",
        () -> format.write(new Host.ToRouters(1, new RouterActor.TakeSnapshot(state -> {}))));
    assertRefused(
        "RouterActor.Deliver (expected: a type that travels)",
        () -> format.write(new Host.ToRouter(1, 0, new RouterActor.Deliver(null, null))));
    assertRefused(
        "ExpertActor.Deliver (expected: a type that travels)",
        () ->
            format.write(
                new Host.ToExpert(1, 0, 0, new troupe.expert.ExpertActor.Deliver(null, null))));
  }

  @Test
  void shouldRefuseWhatIsNotRegistered() {
    assertRefused("String (expected: a message of WireTypes)", () -> format.write("hello"));
    assertRefused("String (expected: a message of WireTypes)", () -> format.manifest("hello"));
    assertRefused(
        "RouterActor.Step (expected: a message of WireTypes)",
        () -> format.write(new RouterActor.Step(1, 2, Duration.ZERO)));
  }

  @Test
  void shouldRefuseNullsThatAreNotDeclared() {
    assertRefused("Host.Finish.outcome: null", () -> format.write(new Host.Finish(null)));
    Inventory empty = new Inventory(new TreeMap<>(), -1, null);
    assertEquals(null, ((Host.Reported) roundTrip(reported(empty))).inventory().placement());
  }

  private Host.Reported reported(Inventory inventory) {
    NodeInfo info = new NodeInfo(1, "a", "h:1", 2, "", "m", "", "cpu", List.of(1L), 2);
    return new Host.Reported(
        1, info, KIT.<Host.Command>createTestProbe().getRef(), inventory, false, List.of(info), 5);
  }

  @Test
  void shouldRefuseComparators() {
    TreeMap<ShardId, java.util.SortedSet<Long>> held = new TreeMap<>();
    held.put(ShardId.trunk(), new TreeSet<>(Comparator.<Long>reverseOrder()));
    assertRefused(
        "a comparator (expected: the natural order)",
        () -> format.write(reported(new Inventory(held, 1, null))));
  }

  @Test
  void shouldRefuseDamage() {
    Host.Finish finish = new Host.Finish(new Outcome.Failed(4, "it broke", "mend it"));
    String manifest = format.manifest(finish);
    byte[] good = format.write(finish);
    Set<String> lines = new HashSet<>();
    for (int bit = 0; bit < good.length * Byte.SIZE; bit++) {
      byte[] bad = good.clone();
      bad[bit / Byte.SIZE] ^= (byte) (1 << bit % Byte.SIZE);
      lines.add(assertRefused("wrong checksum", () -> format.read(manifest, bad, bad.length)));
    }
    assertEquals(1, lines.size());
    assertRefused("Host.Finish of 3 bytes: no checksum", () -> format.read(manifest, good, 3));
    String other = format.manifest(new Host.Keep(1, 1));
    assertRefused("Host.Keep of", () -> format.read(other, good, good.length));
  }

  @Test
  void shouldRefuseManifestsOfOthers() {
    String fingerprint = WireTypes.fingerprint();
    for (String manifest :
        List.of(
            "",
            "@",
            "16",
            "16@",
            "16@00000000",
            "@" + fingerprint,
            "x",
            "16@" + "0".repeat(9_000))) {
      assertRefused(
          "(expected: NUMBER@" + fingerprint, () -> format.read(manifest, new byte[4], 4));
    }
    for (String number : List.of("15", "9999999999", "-1", "1 6", "61", "0")) {
      assertRefused(
          "(expected: the number of a message)",
          () -> format.read(number + "@" + fingerprint, new byte[4], 4));
    }
  }

  @Test
  void shouldRefuseWhatIsTooLargeWhereItIsSent() {
    WireFormat narrow = format(WireTypes.ALL, new WireLimits(1_000));
    RouterActor.Load load = new RouterActor.Load(1, 2, new TreeMap<>(Map.of(3, new double[1_000])));
    String line =
        assertRefused(
            "Host.ToRouters of 8012 bytes (expected: at most 1000)",
            () -> narrow.write(new Host.ToRouters(1, load)));
    assertTrue(line.contains("HINT: raise akka.remote.artery.advanced.maximum-frame-size"), line);
    assertRefused(
        "Host.Keep of 1001 bytes (expected: at most 1000)",
        () -> narrow.read(narrow.manifest(new Host.Keep(1, 1)), new byte[1_001], 1_001));
  }

  @Test
  void shouldWriteNothingWhereThereIsNoRoom() {
    KryoSerializer serializer =
        new KryoSerializer(
            (akka.actor.ExtendedActorSystem)
                akka.actor.typed.javadsl.Adapter.toClassic(KIT.system()));
    Host.ToExperts message =
        new Host.ToExperts(
            1, new troupe.expert.ExpertActor.Apply(1, new AdamWStep(1, 2, 3, 4, 5, 6)));
    byte[] bytes = serializer.toBinary(message);
    ByteBuffer tight = ByteBuffer.allocate(bytes.length - 1);
    assertRefused("Host.ToExperts of " + bytes.length, () -> serializer.toBinary(message, tight));
    assertEquals(0, tight.position());
    ByteBuffer direct = ByteBuffer.allocateDirect(bytes.length + 10);
    serializer.toBinary(message, direct);
    assertEquals(message, serializer.fromBinary(direct.flip(), serializer.manifest(message)));
  }

  @Test
  void shouldHoldTheStateOfTwoHundredThousandExpertsInAFrame() {
    int layers = 12;
    int experts = 16_384;
    TreeMap<ExpertId, Place> homes = new TreeMap<>();
    TreeMap<ShardId, Integer> sources = new TreeMap<>();
    TreeMap<ShardId, java.util.SortedSet<Long>> held = new TreeMap<>();
    for (int e = 0; e < layers * experts; e++) {
      ExpertId expert = new ExpertId(e % layers, e / layers);
      homes.put(expert, new Place(2_000_000_000 + e % 256, e % 8));
      sources.put(ShardId.expert(expert), 2_000_000_000 + e % 255);
      held.put(ShardId.expert(expert), new TreeSet<>(List.of(990L, 1_000L + e % 2)));
    }
    Placement placement =
        new Placement(homes, java.util.Collections.nCopies(256, new Place(2_000_000_001, 7)));
    EpochPlan plan = new EpochPlan(3, 1_000, List.of(), placement, sources);
    Host.Reported reported = reported(new Inventory(held, 990, placement));
    Host.Prepare prepare = new Host.Prepare(plan, Map.of());
    assertEquals(plan, ((Host.Prepare) roundTrip(prepare)).plan());
    assertEquals(reported, roundTrip(reported));
    int planBytes = format.write(prepare).length;
    int inventoryBytes = format.write(reported).length;
    System.out.printf(
        "experts=%d planBytes=%d inventoryBytes=%d%n", layers * experts, planBytes, inventoryBytes);
    assertTrue(planBytes < LIMITS.messageBytes(), "plan " + planBytes);
    assertTrue(inventoryBytes < LIMITS.messageBytes(), "inventory " + inventoryBytes);
  }

  private static String assertRefused(String part, Runnable action) {
    RefusedException refused = assertThrows(RefusedException.class, action::run);
    String line = refused.getMessage();
    assertTrue(line.contains(part), line);
    assertTrue(line.startsWith("control message refused: ") && line.contains("HINT: "), line);
    assertFalse(line.contains("\n"), line);
    assertEquals(0, refused.getStackTrace().length);
    return line;
  }
}
