package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.ValueLayout;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.Eventually;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportSettings.Mode;

/** What all three ways have in common. */
class TransportWaysTest {
  static final int NODE = 2;

  /** The three ways, and those with frames by several threads as well. */
  enum Opened {
    INPROCESS,
    AUTO,
    IPC,
    IPC_THREADS,
    UDP,
    UDP_THREADS;

    boolean isCopying() {
      return isIpc() || isUdp();
    }

    boolean isIpc() {
      return this == IPC || this == IPC_THREADS;
    }

    boolean isUdp() {
      return this == UDP || this == UDP_THREADS;
    }

    Transport open(BatchReceiver receiver) {
      return switch (this) {
        case INPROCESS -> new InProcessTransport(NODE, receiver);
        case AUTO -> open(Mode.AUTO, 1, receiver);
        case IPC -> open(Mode.IPC, 1, receiver);
        case IPC_THREADS -> open(Mode.IPC, 4, receiver);
        case UDP -> open(Mode.UDP, 1, receiver);
        case UDP_THREADS -> open(Mode.UDP, 4, receiver);
      };
    }

    private static Transport open(Mode mode, int threads, BatchReceiver receiver) {
      return NodeTransport.open(
          TransportSettings.of(Batches.RUN_ID, NODE, mode).withThreads(threads, threads > 1),
          receiver,
          TransportEvents.NONE);
    }
  }

  /**
   * Nothing, one row, less and more than a frame, exactly one and two chunks, odd widths, many MB.
   */
  private static final List<int[]> SHAPES =
      List.of(
          new int[] {0, 64},
          new int[] {1, 1},
          new int[] {1, 64},
          new int[] {7, 13},
          new int[] {1, 65_344 / 4},
          new int[] {2, 65_344 / 4},
          new int[] {1, 65_344 / 4 + 1},
          new int[] {997, 131},
          new int[] {3001, 3001});

  @ParameterizedTest
  @EnumSource
  void shouldDeliverTheSameBytesWhateverTheShape(Opened way) {
    RecordingReceiver receiver = new RecordingReceiver();
    try (Transport transport = way.open(receiver)) {
      long bytes = 0;
      for (int i = 0; i < SHAPES.size(); i++) {
        BatchHeader header = Batches.header(i, SHAPES.get(i)[0], SHAPES.get(i)[1]);
        CountedPayload payload = Batches.payload(header);
        Batches.send(transport, NODE, header, payload);

        RecordingReceiver.Arrival arrival = receiver.take();
        assertEquals(header, arrival.header());
        byte[] arrived = arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE);
        assertArrayEquals(Batches.rows(header), arrived);
        bytes += header.payloadBytes();
        if (!way.isCopying()) {
          assertEquals(payload, arrival.payload(), "nothing is copied");
          assertEquals(0, payload.releases(), "the receiver owns it");
        } else {
          Eventually.await("release", () -> payload.releases() == 1);
        }
      }
      long expectedBytes = bytes;
      Eventually.await("counters", () -> transport.counters().bytesSent() == expectedBytes);
      int n = SHAPES.size();
      TransportCounters counters = transport.counters();
      TransportCounters.Traffic all = new TransportCounters.Traffic(n, bytes, n, bytes);
      TransportCounters.Traffic none = TransportCounters.Traffic.NONE;
      assertEquals(!way.isCopying() ? all : none, counters.handOff());
      assertEquals(way.isIpc() ? all : none, counters.ipc());
      assertEquals(way.isUdp() ? all : none, counters.udp());
      assertTrue(!way.isCopying() || counters.busyNs() > 0 && counters.driverBusyNs() > 0);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldDeliverEveryBatchOnceWhenSeveralThreadsSend(Opened way) throws InterruptedException {
    int threads = 4;
    int batchesEach = 50;
    RecordingReceiver receiver = new RecordingReceiver();
    List<CountedPayload> sent = new CopyOnWriteArrayList<>();
    try (Transport transport = way.open(receiver)) {
      List<Thread> senders =
          IntStream.range(0, threads)
              .<Runnable>mapToObj(t -> () -> sendMany(transport, t, batchesEach, sent))
              .map(task -> Thread.ofPlatform().start(task))
              .toList();
      Set<Long> steps = new HashSet<>();
      for (int i = 0; i < threads * batchesEach; i++) {
        RecordingReceiver.Arrival arrival = receiver.take();
        byte[] arrived = arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE);
        assertArrayEquals(Batches.rows(arrival.header()), arrived);
        steps.add(arrival.header().step());
      }
      for (Thread sender : senders) {
        sender.join();
      }
      assertEquals(threads * batchesEach, steps.size());
      assertEquals(0, receiver.numArrived());
      int releases = way.isCopying() ? 1 : 0;
      Eventually.await(
          "releases", () -> sent.stream().allMatch(payload -> payload.releases() == releases));
    }
  }

  private static void sendMany(
      Transport transport, int thread, int batches, List<CountedPayload> sent) {
    for (int i = 0; i < batches; i++) {
      // From nothing to several frames, in no common order.
      BatchHeader header = Batches.header(thread * 1000L + i, (i * 37 + thread * 11) % 90, 801);
      CountedPayload payload = Batches.payload(header);
      sent.add(payload);
      Batches.send(transport, NODE, header, payload);
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldLeaveThePayloadToTheCallerWhenNotAccepted(Opened way) {
    BatchHeader header = Batches.header(1, 2, 3);
    CountedPayload payload = Batches.payload(header);
    Transport transport = way.open(new RecordingReceiver());
    assertEquals(Offer.NOT_CONNECTED, transport.offer(NODE + 1, header, payload));
    transport.close();
    transport.close();
    assertEquals(Offer.CLOSED, transport.offer(NODE, header, payload));
    assertEquals(0, payload.releases());
  }

  @ParameterizedTest
  @EnumSource
  void shouldDeliverAgainWhenABatchIsSentAgain(Opened way) {
    // A router resends a step's batches when an expert restarts; whether that is news is for the
    // expert to say.
    RecordingReceiver receiver = new RecordingReceiver();
    BatchHeader header = Batches.header(1, 20, 30);
    try (Transport transport = way.open(receiver)) {
      Batches.send(transport, NODE, header, Batches.payload(header));
      Batches.send(transport, NODE, header, Batches.payload(header));
      assertEquals(header, receiver.take().header());
      assertEquals(header, receiver.take().header());
      assertEquals(0, transport.counters().duplicateFrames());
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldThrowWhenThePayloadContradictsTheHeader(Opened way) {
    try (Transport transport = way.open(new RecordingReceiver())) {
      Payload payload = new CountedPayload(23);
      BatchHeader header = Batches.header(1, 2, 3);
      assertThrows(IllegalArgumentException.class, () -> transport.offer(NODE, header, payload));
    }
  }
}
