package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import troupe.Eventually;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportSettings.Mode;

/** Batches that are offered while a device still copies their rows. */
class RowsOnTheirWayTest {
  private final RecordingEvents events = new RecordingEvents();
  private final RecordingReceiver receiver = new RecordingReceiver();

  /** Rows that are not there until somebody says so. */
  private static final class DistantPayload implements Payload {
    private final CountedPayload rows;
    private final AtomicInteger prepared = new AtomicInteger();
    private final AtomicInteger asked = new AtomicInteger();
    private volatile boolean here;
    private volatile boolean lost;

    DistantPayload(BatchHeader header) {
      this.rows = Batches.payload(header);
    }

    @Override
    public void prepare(boolean nearby) {
      prepared.incrementAndGet();
      if (lost) {
        throw new IllegalStateException("the device hangs");
      }
    }

    @Override
    public boolean isReady() {
      asked.incrementAndGet();
      if (lost) {
        throw new IllegalStateException("the device hangs");
      }
      return here;
    }

    @Override
    public MemorySegment bytes() {
      assertTrue(here, "nobody waits");
      return rows.bytes();
    }

    @Override
    public long byteSize() {
      return rows.byteSize();
    }

    @Override
    public void release() {
      rows.release();
    }
  }

  private static TransportSettings ipc(int node) {
    return TransportSettings.of(Batches.RUN_ID, node, Mode.IPC).with(null, 8192, 1 << 16);
  }

  private DistantPayload offer(NodeTransport transport, int node, BatchHeader header) {
    DistantPayload payload = new DistantPayload(header);
    assertEquals(Offer.ACCEPTED, transport.offer(node, header, payload));
    assertEquals(1, payload.prepared.get(), "they set out at once");
    Eventually.await("question", () -> payload.asked.get() > 1);
    return payload;
  }

  @Test
  void shouldSendRowsOnceTheyAreHereAndOthersMeanwhile() {
    RecordingReceiver others = new RecordingReceiver();
    try (NodeTransport sender = NodeTransport.open(ipc(0), receiver, events);
        NodeTransport other = NodeTransport.open(ipc(1), others, TransportEvents.NONE)) {
      sender.connect(List.of(other.local()));
      assertTrue(sender.awaitConnected(1, Eventually.TIMEOUT));
      BatchHeader first = Batches.header(1, 100, 300);
      DistantPayload distant = offer(sender, 0, first);
      BatchHeader second = Batches.header(2, 10, 10);
      Batches.send(sender, 0, second, Batches.payload(second));
      BatchHeader elsewhere = Batches.header(3, 10, 10);
      Batches.send(sender, 1, elsewhere, Batches.payload(elsewhere));
      assertEquals(elsewhere, others.take().header());
      assertEquals(0, receiver.numArrived());
      distant.here = true;
      RecordingReceiver.Arrival arrival = receiver.take();
      assertEquals(first, arrival.header());
      assertArrayEquals(
          Batches.rows(first), arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE));
      assertEquals(second, receiver.take().header());
      Eventually.await("release", () -> distant.rows.releases() == 1);
    }
  }

  @Test
  void shouldGiveRowsBackWhoseEpochEndsOnTheirWay() {
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      DistantPayload distant = offer(transport, 0, Batches.header(1, 10, 10));
      transport.setEpoch(2);
      Eventually.await("event", () -> events.count("undelivered 0 1 OLD_EPOCH") == 1);
      assertEquals(1, distant.rows.releases());
    }
  }

  @Test
  void shouldGiveRowsBackThatWillNotCome() {
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      DistantPayload distant = offer(transport, 0, Batches.header(1, 10, 10));
      distant.lost = true;
      Eventually.await("event", () -> events.count("undelivered 0 1 UNREADABLE") == 1);
      assertEquals(1, distant.rows.releases());
      BatchHeader next = Batches.header(2, 10, 10);
      Batches.send(transport, 0, next, Batches.payload(next));
      assertEquals(next, receiver.take().header());
    }
  }

  @Test
  void shouldGiveRowsBackThatCannotSetOut() {
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      BatchHeader header = Batches.header(1, 10, 10);
      DistantPayload distant = new DistantPayload(header);
      distant.lost = true;
      assertEquals(Offer.ACCEPTED, transport.offer(0, header, distant));
      Eventually.await("event", () -> events.count("undelivered 0 1 UNREADABLE") == 1);
      assertEquals(1, distant.rows.releases());
    }
  }

  @Test
  void shouldGiveRowsBackThatAreOnTheirWayWhenItIsClosed() {
    NodeTransport transport = NodeTransport.open(ipc(0), receiver, events);
    DistantPayload distant = offer(transport, 0, Batches.header(1, 10, 10));
    transport.close();
    assertEquals(1, distant.rows.releases());
    assertEquals(1, events.count("undelivered 0 1 CLOSED"));
  }
}
