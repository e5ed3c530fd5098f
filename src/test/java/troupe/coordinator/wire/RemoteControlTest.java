package troupe.coordinator.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorRefResolver;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Props;
import akka.actor.typed.javadsl.Behaviors;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.coordinator.host.Host;
import troupe.core.UserException;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;

/** Messages between two actor systems over Artery. */
class RemoteControlTest {
  private static final int FORGED = 5_000;

  private final long seed = Long.getLong("wire.seed", ThreadLocalRandom.current().nextLong());
  private final ActorSystem<Void> here = WireSystems.start("here");
  private final ActorSystem<Void> there = WireSystems.start("there");
  private final BlockingQueue<Object> inbox = new LinkedBlockingQueue<>();
  private final ActorRef<Object> receiver = collector(there);

  @AfterEach
  void shutDown() throws Exception {
    stop(here);
    stop(there);
  }

  private static void stop(ActorSystem<?> system) throws Exception {
    system.terminate();
    system.getWhenTerminated().toCompletableFuture().get(30, TimeUnit.SECONDS);
  }

  private ActorRef<Object> collector(ActorSystem<?> system) {
    return system.systemActorOf(
        Behaviors.receiveMessage(
            message -> {
              inbox.add(message);
              return Behaviors.same();
            }),
        "collector",
        Props.empty());
  }

  /** The same actor as another system knows it. */
  private static ActorRef<Object> seenFrom(
      ActorSystem<?> system, ActorSystem<?> home, ActorRef<?> ref) {
    return ActorRefResolver.get(system)
        .resolveActorRef(ActorRefResolver.get(home).toSerializationFormat(ref));
  }

  /** An actor's address is left out where it is the system's own. */
  private static String textOf(Object message) {
    return DeepText.of(message).replaceAll("@127\\.0\\.0\\.1:\\d+", "");
  }

  private Object receive() throws InterruptedException {
    return receive("");
  }

  private Object receive(String awaited) throws InterruptedException {
    Object message = inbox.poll(30, TimeUnit.SECONDS);
    assertTrue(message != null, () -> "nothing came " + awaited);
    return message;
  }

  @Test
  void shouldArriveAsSent() throws Exception {
    ActorRef<Object> remote = seenFrom(here, there, receiver);
    List<ActorRef<Object>> refs = List.of(collector(here), remote);
    Specimens specimens = new Specimens(seed, refs);
    for (WireType wire : WireTypes.ALL) {
      for (int i = 0; wire.isMessage() && i < 20; i++) {
        Object message = specimens.of(wire);
        remote.tell(message);
        Object arrived = receive("-Dwire.seed=" + seed + " " + message);
        assertEquals(textOf(message), textOf(arrived), "-Dwire.seed=" + seed);
      }
    }
  }

  @Test
  void shouldCarryReferencesThatWork() throws Exception {
    ActorRef<Object> remote = seenFrom(here, there, receiver);
    BlockingQueue<Host.Event> answers = new LinkedBlockingQueue<>();
    ActorRef<Host.Event> coordinator =
        here.systemActorOf(
            Behaviors.receiveMessage(
                event -> {
                  answers.add(event);
                  return Behaviors.same();
                }),
            "coordinator",
            Props.empty());
    remote.tell(new Host.Report(7, false, coordinator));
    Host.Report report = assertInstanceOf(Host.Report.class, receive());
    assertEquals(
        ActorRefResolver.get(here).toSerializationFormat(coordinator),
        ActorRefResolver.get(there).toSerializationFormat(report.coordinator()));
    report.coordinator().tell(new Host.Prepared(7, 99));
    assertEquals(new Host.Prepared(7, 99), answers.poll(30, TimeUnit.SECONDS));
  }

  @Test
  void shouldGoOnAfterWhatCannotBeSent() throws Exception {
    ActorRef<Object> remote = seenFrom(here, there, receiver);
    try (WireLog log = WireLog.open()) {
      remote.tell("strings are Akka's own and pass");
      remote.tell(new Host.ToExperts(1, new ExpertActor.TakeSnapshot(state -> {})));
      remote.tell(
          new Host.ToRouters(
              1, new RouterActor.Load(1, 2, new TreeMap<>(Map.of(3, new double[1 << 18])))));
      remote.tell(new Host.Keep(1, 2));
      assertInstanceOf(String.class, receive());
      assertEquals(new Host.Keep(1, 2), receive());
      assertTrue(
          log.await("ExpertActor.TakeSnapshot (expected: a type that travels)").contains("HINT: "));
      assertTrue(
          log.await("Host.ToRouters of 2097165 bytes (expected: at most ").contains("HINT: raise"));
    }
  }

  @Test
  void shouldGoOnAfterForgedMessages() throws Exception {
    ActorSystem<Void> forger = WireSystems.start("forger", Forged.Serializer.SETTINGS);
    try (WireLog log = WireLog.open()) {
      ActorRef<Object> target = seenFrom(forger, there, receiver);
      SplittableRandom random = new SplittableRandom(seed);
      List<WireType> messages = WireTypes.ALL.stream().filter(WireType::isMessage).toList();
      for (int i = 0; i < FORGED; i++) {
        byte[] bytes = new byte[random.nextInt(200)];
        random.nextBytes(bytes);
        int id = messages.get(random.nextInt(messages.size())).id();
        String manifest = id + "@" + (random.nextBoolean() ? WireTypes.fingerprint() : "0");
        target.tell(new Forged(manifest, bytes));
        // Artery's queue holds 3072 and drops the rest.
        if (i % 500 == 499) {
          target.tell("still there " + i);
          assertEquals("still there " + i, receive(), "-Dwire.seed=" + seed);
        }
      }
      ActorRef<Object> remote = seenFrom(here, there, receiver);
      remote.tell(new Host.Keep(3, 4));
      assertEquals(new Host.Keep(3, 4), receive());
      String line = log.await("the sender runs another build");
      assertTrue(line.contains("akka://forger@127.0.0.1:"), line);
      assertTrue(log.count() < FORGED / 10, log.count() + " lines for " + FORGED + " messages");
    } finally {
      stop(forger);
    }
  }

  @Test
  void shouldNotStartWhereJavaSerializationIsAllowed() {
    Throwable failure =
        assertThrows(
            Throwable.class,
            () -> stop(WireSystems.start("unsafe", "akka.actor.allow-java-serialization = on")));
    while (failure.getCause() != null && !(failure instanceof UserException)) {
      failure = failure.getCause();
    }
    assertEquals("akka.actor.allow-java-serialization: on (expected: off)", failure.getMessage());
  }
}
