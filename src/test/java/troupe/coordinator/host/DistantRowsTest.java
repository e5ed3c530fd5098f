package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Eventually;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.run.Runs;
import troupe.core.tensor.Staged;
import troupe.core.tensor.Tensor;
import troupe.expert.ExpertActor;
import troupe.expert.network.TensorPayload;
import troupe.router.RouterActor;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;
import troupe.transport.NodeTransport;
import troupe.transport.Payload;
import troupe.transport.Phase;
import troupe.transport.PickUp;
import troupe.transport.Transport;
import troupe.transport.TransportEvents;
import troupe.transport.TransportSettings;

/** Rows that go from one device with memory of its own to another, by way of processes. */
class DistantRowsTest {
  private static final ActorTestKit KIT = ActorTestKit.create();
  private static final int ROWS = 3;
  private static final int WIDTH = 16;

  private final DistantDevice sender = new DistantDevice();
  private final DistantDevice first = new DistantDevice();
  private final DistantDevice there = new DistantDevice();
  private final TestProbe<RouterActor.Command> router = KIT.createTestProbe();
  private final TestProbe<ExpertActor.Command> expert = KIT.createTestProbe();
  private final NodeReceiver receiver = new NodeReceiver(first, Runs.tiny());

  @AfterAll
  static void stop() {
    KIT.shutdownTestKit();
  }

  @AfterEach
  void close() {
    sender.close();
    first.close();
    there.close();
  }

  private void connect() {
    receiver.connect(
        Map.of(1, new NodeReceiver.Owner<>(router.ref(), there)),
        Map.of(new ExpertId(0, 1), new NodeReceiver.Owner<>(expert.ref(), there)));
  }

  private BatchHeader header(Phase phase) {
    return new BatchHeader(1, 1, 1, 0, 0, 1, 1, phase, sender.dtype().code(), ROWS, WIDTH);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldGoToTheDeviceOfWhomTheyAreFor(boolean lent) {
    connect();
    double[] values = IntStream.range(0, ROWS * WIDTH).asDoubleStream().toArray();
    Tensor rows = sender.of(ROWS, WIDTH, values);
    TransportSettings settings =
        TransportSettings.of(1, 0, TransportSettings.Mode.IPC).with(null, 8192, 1 << 16);
    try (NodeTransport transport = NodeTransport.open(settings, receiver, TransportEvents.NONE)) {
      assertEquals(
          Transport.Offer.ACCEPTED,
          transport.offer(
              0,
              header(Phase.FORWARD),
              lent ? TensorPayload.lent(rows) : TensorPayload.given(rows)));
      TensorPayload come = expert.expectMessageClass(ExpertActor.Deliver.class).rows();
      assertSame(there, come.tensor().device());
      assertSame(come, come.on(there));
      assertArrayEquals(values, come.tensor().toDoubles());
      come.release();
      Eventually.await("release", () -> sender.lent() == 0);
    }
    assertEquals(lent ? (long) ROWS * WIDTH * sender.dtype().bytes() : 0, sender.allocatedBytes());
    assertEquals(0, there.lent());
    assertEquals(0, there.allocatedBytes());
  }

  private static NodeTransport open(int node, BatchReceiver receiver) {
    return NodeTransport.open(
        TransportSettings.of(1, node, TransportSettings.Mode.AUTO).with(null, 8192, 1 << 16),
        receiver,
        TransportEvents.NONE);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldBePickedUpByTheDeviceOfWhomTheyAreFor(boolean isLent) {
    connect();
    double[] values = IntStream.range(0, ROWS * WIDTH).asDoubleStream().toArray();
    Tensor rows = sender.of(ROWS, WIDTH, values);
    NodeReceiver nobody = new NodeReceiver(sender, Runs.tiny());
    try (NodeTransport here = open(1, nobody);
        NodeTransport other = open(2, receiver)) {
      here.connect(List.of(other.local()));
      other.connect(List.of(here.local()));
      assertTrue(here.awaitConnected(2, Eventually.TIMEOUT));
      TensorPayload payload = isLent ? TensorPayload.lent(rows) : TensorPayload.given(rows);
      assertEquals(Transport.Offer.ACCEPTED, here.offer(2, header(Phase.FORWARD), payload));
      TensorPayload come = expert.expectMessageClass(ExpertActor.Deliver.class).rows();
      assertSame(there, come.tensor().device());
      assertArrayEquals(values, come.tensor().toDoubles());
      come.release();
      Eventually.await("release", () -> sender.lent() == 0);
      assertEquals(1, here.counters().pickUp().batchesSent());
      assertEquals(1, other.counters().pickUp().batchesReceived());
      other.connect(List.of());
      Eventually.await("forgotten", () -> there.forgotten().equals(List.of(1)));
    }
    assertEquals(
        isLent ? (long) ROWS * WIDTH * sender.dtype().bytes() : 0, sender.allocatedBytes());
    assertEquals(0, there.lent());
    assertEquals(0, there.allocatedBytes());
    assertEquals(List.of(), first.forgotten());
  }

  @Test
  void shouldNotBePickedUpForActorsThatAreGone() {
    assertNull(receiver.pickUp(1, header(Phase.FORWARD), new byte[4]));
    connect();
    Staged staged = sender.shelve(sender.allocate(ROWS, WIDTH), null, true);
    Eventually.await("shelf", staged::isDone);
    PickUp pickUp = receiver.pickUp(1, header(Phase.FORWARD), staged.reference());
    receiver.disconnect();
    receiver.onBatch(header(Phase.FORWARD), pickUp.payload());
    Eventually.await("the end of the copy", pickUp.over());
    assertEquals(0, there.allocatedBytes());
    assertEquals(0, there.lent());
    staged.close();
  }

  @ParameterizedTest
  @EnumSource(names = {"FORWARD", "OUTPUT"})
  void shouldNotGoToADeviceWhoseActorsAreGone(Phase phase) {
    connect();
    Payload payload = receiver.allocate(header(phase));
    assertEquals(1, there.lent());
    receiver.disconnect();
    receiver.onBatch(header(phase), payload);
    assertEquals(0, there.lent());
    assertEquals(0, there.allocatedBytes());
    assertNull(receiver.allocate(header(phase)));
  }
}
