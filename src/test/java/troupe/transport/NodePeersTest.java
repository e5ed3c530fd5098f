package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;
import troupe.Eventually;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportSettings.Mode;

/** Several nodes in one JVM, each with its own driver. */
class NodePeersTest {
  private final RecordingEvents events = new RecordingEvents();
  private final RecordingReceiver receiver = new RecordingReceiver();

  private NodeTransport open(Mode mode, int node) {
    return NodeTransport.open(settings(mode, node), receiver, events);
  }

  private static TransportSettings settings(Mode mode, int node) {
    return NodeMain.settings(mode, node, DriverDirectory.defaultParent());
  }

  private static void assertConnects(NodeTransport from, NodeTransport to) {
    assertTrue(from.awaitConnected(to.local().node(), Eventually.TIMEOUT));
  }

  private void assertDelivers(NodeTransport from, int node, long step) {
    BatchHeader header = Batches.header(step, 3, 5);
    Batches.send(from, node, header, Batches.payload(header));
    assertEquals(header, receiver.take().header());
  }

  private Offer offer(NodeTransport from, int node) {
    BatchHeader header = Batches.header(0, 0, 1);
    return from.offer(node, header, Batches.payload(header));
  }

  @Test
  void shouldTakeTheNearestWayThatTwoNodesHaveInCommon() {
    try (NodeTransport first = open(Mode.AUTO, 1);
        NodeTransport near = open(Mode.AUTO, 2);
        NodeTransport far = open(Mode.AUTO, 3);
        NodeTransport hidden = open(Mode.AUTO, 4)) {
      Endpoint elsewhere = new Endpoint(3, far.local().channel(), "another machine", "/nowhere");
      Endpoint container =
          new Endpoint(4, hidden.local().channel(), Machine.id(), "/dev/shm/in-a-container/aeron");
      first.connect(List.of(near.local(), elsewhere, container));
      assertEquals(Way.HAND_OFF, first.wayTo(1));
      assertEquals(Way.IPC, first.wayTo(2));
      assertEquals(Way.UDP, first.wayTo(3));
      assertEquals(Way.UDP, first.wayTo(4));
      assertThrows(IllegalArgumentException.class, () -> first.wayTo(5));
      for (int node = 1; node <= 4; node++) {
        assertDelivers(first, node, node);
      }
      TransportCounters counters = first.counters();
      assertEquals(1, counters.handOff().batchesSent());
      assertEquals(1, counters.ipc().batchesSent());
      assertEquals(2, counters.udp().batchesSent());
      assertEquals(1, near.counters().ipc().batchesReceived());
      assertEquals(1, far.counters().udp().batchesReceived());
      assertEquals(4 * 60, counters.bytesSent());
      assertEquals(60, counters.bytesReceived(), "what was handed over");
    }
  }

  @Test
  void shouldTalkToExactlyThePeersOfTheEpoch() {
    try (NodeTransport first = open(Mode.AUTO, 1);
        NodeTransport second = open(Mode.AUTO, 2);
        NodeTransport third = open(Mode.AUTO, 3)) {
      first.connect(List.of(first.local(), second.local()));
      assertConnects(first, second);
      assertTrue(first.isConnected(1), "itself");
      assertFalse(first.isConnected(3));

      first.connect(List.of(second.local(), third.local()));
      assertTrue(first.isConnected(2), "the connection stays");
      assertConnects(first, third);
      assertEquals(1, events.count("connected 2"));

      first.connect(List.of(third.local()));
      assertFalse(first.isConnected(2));
      assertEquals(Offer.NOT_CONNECTED, offer(first, 2));
      assertDelivers(first, 3, 1);
      first.connect(List.of());
      assertEquals(Offer.NOT_CONNECTED, offer(first, 3));
      assertEquals(Offer.ACCEPTED, offer(first, 1));
    }
  }

  @Test
  void shouldConnectAnewWhenTheEndpointOfANodeChanges() {
    try (NodeTransport first = open(Mode.AUTO, 1)) {
      NodeTransport before = open(Mode.AUTO, 2);
      first.connect(List.of(before.local()));
      assertDelivers(first, 2, 1);
      before.close();
      Eventually.await("leave", () -> events.count("disconnected 2") == 1);
      try (NodeTransport after = open(Mode.AUTO, 2)) {
        first.connect(List.of(after.local()));
        assertDelivers(first, 2, 2);
      }
    }
  }

  @Test
  void shouldChangeNothingWhenAPeerIsImpossible() {
    try (NodeTransport first = open(Mode.IPC, 1);
        NodeTransport second = open(Mode.IPC, 2)) {
      first.connect(List.of(second.local()));
      assertConnects(first, second);
      Endpoint far = new Endpoint(3, "aeron:udp?endpoint=10.0.0.1:1", "another machine", "/x");
      IllegalStateException e =
          assertThrows(IllegalStateException.class, () -> first.connect(List.of(far)));
      assertTrue(e.getMessage().startsWith("transport.mode: ipc (expected: "), e.getMessage());
      assertTrue(e.getMessage().contains("HINT: transport.mode=auto"), e.getMessage());
      assertDelivers(first, 2, 1);
      assertDelivers(first, 1, 2);
    }
  }

  @Test
  void shouldReleaseWhatIsHandedOverInAnOlderEpoch() {
    try (NodeTransport only = open(Mode.AUTO, 1)) {
      only.setEpoch(2);
      BatchHeader old = Batches.header(7, 1, 1); // of epoch 1
      CountedPayload payload = Batches.payload(old);
      assertEquals(Offer.ACCEPTED, only.offer(1, old, payload));
      assertEquals(1, payload.releases());
      assertEquals(1, events.count("undelivered 1 7 OLD_EPOCH"));
      BatchHeader current = Batches.header(Batches.RUN_ID, 2, 8, 1, 1);
      CountedPayload rows = Batches.payload(current);
      only.offer(1, current, rows);
      assertSame(rows, receiver.take().payload());
      assertEquals(1, only.counters().handOff().batchesSent());
    }
  }

  @Test
  void shouldNameTheKeysWhenThePortIsTaken() {
    try (NodeTransport first = open(Mode.AUTO, 1)) {
      String channel = first.local().channel();
      int port = Integer.parseInt(channel.substring(channel.lastIndexOf(':') + 1));
      TransportSettings taken = settings(Mode.AUTO, 2).at("127.0.0.1", port);
      IllegalStateException e =
          assertThrows(
              IllegalStateException.class, () -> NodeTransport.open(taken, receiver, events));
      assertTrue(e.getMessage().startsWith("cluster.data_port: 127.0.0.1:" + port), e.getMessage());
      assertTrue(e.getMessage().contains("HINT: "), e.getMessage());
    }
  }

  @Test
  void shouldStillCountWhenClosed() {
    NodeTransport transport = open(Mode.UDP, 1);
    assertDelivers(transport, 1, 1);
    transport.close();
    assertEquals(1, transport.counters().udp().batchesReceived());
    assertEquals(0, transport.counters().naksSent());
    assertFalse(transport.isConnected(1));
  }
}
