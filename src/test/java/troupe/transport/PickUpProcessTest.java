package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.aeron.CommonContext;
import java.io.IOException;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import troupe.Eventually;
import troupe.transport.TransportSettings.Mode;

/** Rows that lie where another process copies them, and what becomes of them when one ends. */
class PickUpProcessTest {
  private static final int THIS = 1_234_567_891;
  private static final int OTHER = Integer.MAX_VALUE;
  private static final int THIRD = 3;

  private final RecordingEvents events = new RecordingEvents();
  private final PickingReceiver receiver = new PickingReceiver();
  private Path directory;
  private NodeTransport transport;

  @BeforeEach
  void open() throws IOException {
    directory = Files.createTempDirectory(DriverDirectory.defaultParent(), "troupe-pick-up-test");
    transport = NodeTransport.open(NodeMain.settings(Mode.AUTO, THIS, directory), receiver, events);
  }

  @AfterEach
  void close() throws IOException {
    transport.close();
    try (Stream<Path> tree = Files.walk(directory)) {
      for (Path path : tree.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }

  private NodeProcess start(int node, String... flags) {
    return NodeProcess.start(Mode.AUTO, node, directory, flags);
  }

  private void connect(NodeProcess... others) {
    transport.connect(Stream.of(others).map(NodeProcess::endpoint).toList());
    for (NodeProcess other : others) {
      other.connect(transport.local());
      assertTrue(transport.awaitConnected(other.endpoint().node(), Eventually.TIMEOUT));
    }
  }

  private ShelvedPayload send(int node, BatchHeader header) {
    ShelvedPayload payload = new ShelvedPayload(Batches.payload(header), directory);
    Batches.send(transport, node, header, payload);
    assertTrue(payload.isShelved());
    return payload;
  }

  private void assertEchoes(int node, BatchHeader header) {
    ShelvedPayload payload = send(node, header);
    RecordingReceiver.Arrival arrival = receiver.take();
    assertEquals(header, arrival.header());
    byte[] arrived = arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE);
    assertArrayEquals(Batches.rows(header), arrived);
    Eventually.await("release", () -> payload.releases() == 1);
  }

  private void assertNoErrors() {
    assertEquals(List.of(), events.lines().stream().filter(l -> l.contains("error")).toList());
  }

  @Test
  void shouldCarryTheSameBytesThereAndBack() {
    try (NodeProcess other = start(OTHER)) {
      connect(other);
      int[][] shapes = {{1, 1}, {7, 13}, {997, 131}, {3001, 3001}};
      for (int i = 0; i < shapes.length; i++) {
        assertEchoes(OTHER, Batches.header(i, shapes[i][0], shapes[i][1]));
      }
      assertEquals(shapes.length, other.counter("pickUp"));
      assertEquals(0, other.counter("ipc"));
      assertEquals(shapes.length, transport.counters().pickUp().batchesReceived());
      assertEquals(shapes.length, transport.counters().pickUp().batchesSent());
      other.quit();
    }
    assertNoErrors();
  }

  @Test
  void shouldTakeBackWhatAKilledProcessWasCopying() {
    try (NodeProcess other = start(OTHER);
        NodeProcess third = start(THIRD)) {
      connect(other, third);
      other.setCopying(true);
      List<ShelvedPayload> lent = new ArrayList<>();
      for (int i = 0; i < 20; i++) {
        lent.add(send(OTHER, Batches.header(i, 100, 100)));
        receiver.take();
      }
      assertEquals(0, lent.stream().filter(payload -> payload.releases() > 0).count());
      other.signal("KILL");
      Eventually.await("releases", () -> lent.stream().allMatch(p -> p.releases() == 1));
      assertEquals(1, events.count("disconnected " + OTHER));
      assertEchoes(THIRD, Batches.header(30, 100, 100));
      try (NodeProcess next = start(OTHER - 1)) {
        connect(third, next);
        assertEchoes(OTHER - 1, Batches.header(31, 100, 100));
        next.quit();
      }
      third.quit();
    }
    assertNoErrors();
  }

  @Test
  void shouldGoOnWhenALenderIsKilled() {
    try (NodeProcess other = start(OTHER);
        NodeProcess third = start(THIRD)) {
      connect(other, third);
      receiver.isCopying(true);
      send(OTHER, Batches.header(1, 100, 100));
      RecordingReceiver.Arrival arrival = receiver.take();
      other.signal("KILL");
      Eventually.await("event", () -> events.count("disconnected " + OTHER) == 1);
      transport.connect(List.of(third.endpoint()));
      Eventually.await("forgotten", () -> receiver.forgotten().equals(List.of(OTHER)));
      receiver.isCopying(false);
      assertEquals(Batches.header(1, 100, 100), arrival.header());
      assertEchoes(THIRD, Batches.header(2, 100, 100));
      third.quit();
    }
    assertNoErrors();
  }

  /** Notices may be lost then, and their rows are not wanted back for ever. */
  @Test
  void shouldTakeBackAllAfterAProcessStoodStillForLongerThanItsDriverWaits() {
    try (NodeProcess other = start(OTHER, "-Daeron.client.liveness.timeout=2000000000")) {
      connect(other);
      assertEchoes(OTHER, Batches.header(0, 100, 100));
      other.signal("STOP");
      List<ShelvedPayload> lent = new ArrayList<>();
      for (int i = 1; i <= 10; i++) {
        lent.add(send(OTHER, Batches.header(i, 100, 100)));
      }
      Eventually.await("standstill", () -> !isDriverActive(other, 4000));
      other.signal("CONT");
      Eventually.await("a lost client", () -> other.counter("errors") > 0);
      Eventually.await(
          "all of it back",
          () -> {
            BatchHeader header = Batches.header(lent.size() + 1, 100, 100);
            ShelvedPayload next = new ShelvedPayload(Batches.payload(header), directory);
            switch (transport.offer(OTHER, header, next)) {
              case ACCEPTED -> lent.add(next);
              case BACK_PRESSURED, NOT_CONNECTED, CLOSED -> next.release();
            }
            return lent.size() > 11
                && lent.subList(0, 11).stream().allMatch(p -> p.releases() == 1);
          });
      assertTrue(other.isAlive());
    }
  }

  private static boolean isDriverActive(NodeProcess other, long withinMs) {
    return CommonContext.isDriverActive(
        other.endpoint().driver().toFile(), withinMs, message -> {});
  }
}
