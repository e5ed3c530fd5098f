package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aeron.CommonContext;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.Eventually;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportSettings.Mode;

/** This JVM is one node; others are real processes. */
class NodeProcessTest {
  private static final int THIS = 1_234_567_891;
  private static final int OTHER = Integer.MAX_VALUE;
  private static final int THIRD = 3;

  /** Aeron alone would take ten seconds to notice. */
  private static final Duration NOTICED_WITHIN = Duration.ofSeconds(4);

  private final RecordingEvents events = new RecordingEvents();
  private final RecordingReceiver receiver = new RecordingReceiver();
  private Path directory;

  @BeforeEach
  void makeDirectory() throws IOException {
    directory = Files.createTempDirectory(DriverDirectory.defaultParent(), "troupe-node-test");
  }

  @AfterEach
  void deleteDirectory() throws IOException {
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  private NodeTransport open(Mode mode) {
    return NodeTransport.open(NodeMain.settings(mode, THIS, directory), receiver, events);
  }

  private static void connect(NodeTransport transport, NodeProcess... others) {
    transport.connect(Stream.of(others).map(NodeProcess::endpoint).toList());
    for (NodeProcess other : others) {
      other.connect(transport.local());
      assertTrue(transport.awaitConnected(other.endpoint().node(), Eventually.TIMEOUT));
    }
  }

  private void assertEchoes(NodeTransport transport, int node, BatchHeader header) {
    CountedPayload payload = Batches.payload(header);
    Batches.send(transport, node, header, payload);
    RecordingReceiver.Arrival arrival = receiver.take();
    assertEquals(header, arrival.header());
    byte[] arrived = arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE);
    assertArrayEquals(Batches.rows(header), arrived);
    Eventually.await("release", () -> payload.releases() == 1);
  }

  @ParameterizedTest
  @EnumSource
  void shouldCarryTheSameBytesThereAndBack(Mode mode) {
    try (NodeTransport transport = open(mode);
        NodeProcess other = NodeProcess.start(mode, OTHER, directory)) {
      connect(transport, other);
      assertEquals(mode == Mode.UDP ? Way.UDP : Way.IPC, transport.wayTo(OTHER));
      int[][] shapes = {{0, 64}, {1, 1}, {7, 13}, {1, 65_344 / 4}, {997, 131}, {3001, 3001}};
      for (int i = 0; i < shapes.length; i++) {
        assertEchoes(transport, OTHER, Batches.header(i, shapes[i][0], shapes[i][1]));
      }
      boolean isUdp = mode == Mode.UDP;
      assertEquals(isUdp ? 0 : shapes.length, other.counter("ipc"));
      assertEquals(isUdp ? shapes.length : 0, other.counter("udp"));
      assertTrue(other.counter("busyNs") > 0);
      TransportCounters.Traffic none = TransportCounters.Traffic.NONE;
      assertEquals(none, isUdp ? transport.counters().ipc() : transport.counters().udp());
      other.quit();
      Eventually.await("leave", () -> events.count("disconnected " + OTHER) == 1);
    }
    assertEquals(
        List.of(), events.lines().stream().filter(line -> line.contains("error")).toList());
  }

  @Test
  void shouldNoticeAKilledPeerGiveBackWhatWaitsAndReachTheNextOne() {
    try (NodeTransport transport = open(Mode.AUTO);
        NodeProcess other = NodeProcess.start(Mode.AUTO, OTHER, directory);
        NodeProcess third = NodeProcess.start(Mode.AUTO, THIRD, directory)) {
      connect(transport, other, third);
      other.stall();
      List<CountedPayload> accepted = fill(transport);

      other.signal("KILL");
      long killedNs = System.nanoTime();
      Eventually.await("event", () -> events.count("disconnected " + OTHER) == 1);
      Eventually.await("releases", () -> accepted.stream().allMatch(p -> p.releases() == 1));
      long noticedMs = (System.nanoTime() - killedNs) / 1_000_000;
      System.out.println("NodeProcessTest kill -9 noticed after ms=" + noticedMs);
      assertTrue(noticedMs < NOTICED_WITHIN.toMillis(), noticedMs + " ms");
      // Rows are released before that is told.
      Eventually.await(
          "accounts",
          () ->
              transport.counters().batchesSent() + events.count("NOT_CONNECTED")
                  == accepted.size());
      assertTrue(events.count("NOT_CONNECTED") > 0);
      CountedPayload refused = new CountedPayload(4);
      assertEquals(Offer.NOT_CONNECTED, transport.offer(OTHER, Batches.header(1, 1, 1), refused));
      assertEquals(0, refused.releases());
      Path dead = other.endpoint().driver().getParent();
      Eventually.await("unmapping", () -> !isMapped(dead));
      assertTrue(Files.exists(dead), "kill -9 leaves its folder");

      try (NodeProcess next = NodeProcess.start(Mode.AUTO, OTHER - 1, directory)) {
        assertFalse(Files.exists(dead), "the next to start removes it");
        connect(transport, third, next);
        assertEquals(Way.IPC, transport.wayTo(OTHER - 1));
        assertEchoes(transport, OTHER - 1, Batches.header(1, 100, 100));
        assertEchoes(transport, THIRD, Batches.header(2, 100, 100)); // its folder was not touched
        third.quit();
        next.quit();
      }
    }
    assertEquals(
        List.of(), events.lines().stream().filter(line -> line.contains("error")).toList());
  }

  /** Offers batches of 1 MB until one is pushed back; returns those accepted. */
  private static List<CountedPayload> fill(NodeTransport transport) {
    List<CountedPayload> accepted = new ArrayList<>();
    Eventually.await(
        "back pressure",
        () -> {
          BatchHeader header = Batches.header(accepted.size(), 1000, 256);
          CountedPayload payload = new CountedPayload(header.payloadBytes());
          Offer offer = transport.offer(OTHER, header, payload);
          if (offer == Offer.ACCEPTED) {
            accepted.add(payload);
          }
          return offer == Offer.BACK_PRESSURED;
        });
    return accepted;
  }

  private static boolean isMapped(Path folder) {
    try {
      return Files.readString(Path.of("/proc/self/maps")).contains(folder.toString());
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"AUTO", "UDP"})
  void shouldGoOnAfterAProcessStoodStillForLongerThanItsDriverWaits(Mode mode) {
    try (NodeTransport transport = open(mode);
        NodeProcess other =
            NodeProcess.start(
                mode, OTHER, directory, "-Daeron.client.liveness.timeout=2000000000")) {
      connect(transport, other);
      assertEchoes(transport, OTHER, Batches.header(1, 100, 100));
      other.signal("STOP");
      Eventually.await("standstill", () -> !isDriverActive(other, 4000));
      other.signal("CONT");
      Eventually.await("a lost client", () -> other.counter("errors") > 0);
      // What was on its way may be lost, and whoever waits for it sends it again.
      Eventually.await("connection", () -> answers(transport, Batches.header(2, 100, 100)));
      assertTrue(other.isAlive());
    }
  }

  private boolean answers(NodeTransport transport, BatchHeader header) {
    transport.offer(OTHER, header, Batches.payload(header));
    return receiver.numArrived() > 0;
  }

  private static boolean isDriverActive(NodeProcess other, long withinMs) {
    return CommonContext.isDriverActive(
        other.endpoint().driver().toFile(), withinMs, message -> {});
  }

  @Test
  void shouldDropFramesOfOlderEpochsThatAnotherProcessSends() {
    try (NodeTransport transport = open(Mode.AUTO);
        NodeProcess other = NodeProcess.start(Mode.AUTO, OTHER, directory)) {
      connect(transport, other);
      other.setEpoch(2);
      BatchHeader old = Batches.header(1, 0, 10); // of epoch 1, one frame
      Batches.send(transport, OTHER, old, Batches.payload(old));
      Eventually.await("count", () -> other.counter("foreign") == 1);
      assertEchoes(transport, OTHER, Batches.header(Batches.RUN_ID, 2, 2, 10, 10));
      assertEquals(1, other.counter("ipc"));
    }
  }

  @Test
  void shouldAskAgainForPacketsThatAnotherProcessLost() {
    try (NodeTransport transport = open(Mode.UDP);
        NodeProcess other = NodeProcess.start(Mode.UDP, OTHER, directory, UdpLossTest.flags())) {
      connect(transport, other);
      for (int i = 0; i < 5; i++) {
        assertEchoes(transport, OTHER, Batches.header(i, 501, 503)); // 1 MB, 124 packets
      }
      assertTrue(other.counter("naks") > 0, "nothing was lost: the test shows nothing");
      assertTrue(transport.counters().naksReceived() > 0);
      assertEquals(5, other.counter("udp"));
    }
  }
}
