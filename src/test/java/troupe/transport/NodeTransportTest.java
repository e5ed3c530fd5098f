package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Eventually;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportSettings.Mode;

@ParameterizedClass(name = "threads={0}")
@ValueSource(ints = {1, 3})
class NodeTransportTest {
  private static final Duration CONNECT_TIMEOUT = Duration.ofMillis(300);
  private static final TransportSettings.Outbound OUTBOUND =
      new TransportSettings.Outbound(16, 1 << 20);
  private static final TransportSettings.Inbound INBOUND =
      new TransportSettings.Inbound(1 << 26, 4, 1 << 22, Duration.ofSeconds(10));

  private final RecordingEvents events = new RecordingEvents();

  @Parameter int threads;

  private TransportSettings ipc(int node) {
    return small(TransportSettings.of(Batches.RUN_ID, node, Mode.IPC));
  }

  private TransportSettings udp(int node) {
    return small(TransportSettings.of(Batches.RUN_ID, node, Mode.UDP));
  }

  /** Terms and queues so small that a test fills them at once. */
  private TransportSettings small(TransportSettings settings) {
    return settings
        .with(null, 8192, 1 << 16)
        .with(OUTBOUND, INBOUND, CONNECT_TIMEOUT)
        .withThreads(threads, threads > 1);
  }

  private static void connect(NodeTransport from, NodeTransport... to) {
    from.connect(Arrays.stream(to).map(NodeTransport::local).toList());
    for (NodeTransport peer : to) {
      assertTrue(from.awaitConnected(peer.local().node(), Eventually.TIMEOUT));
    }
  }

  /** Offers batches until one is pushed back; returns those accepted. */
  private static List<CountedPayload> fill(NodeTransport transport, int node) {
    List<CountedPayload> accepted = new ArrayList<>();
    Eventually.await(
        "back pressure",
        () -> {
          BatchHeader header = Batches.header(accepted.size(), 100, 256);
          CountedPayload payload = new CountedPayload(header.payloadBytes());
          Offer offer = transport.offer(node, header, payload);
          if (offer == Offer.ACCEPTED) {
            accepted.add(payload);
          }
          return offer == Offer.BACK_PRESSURED;
        });
    return accepted;
  }

  @Test
  void shouldPushBackWhenTheReceiverStallsAndRecover() {
    StallingReceiver receiver = new StallingReceiver();
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      BatchHeader first = Batches.header(1000, 1, 1);
      Batches.send(transport, 0, first, Batches.payload(first));
      receiver.awaitStalled();
      List<CountedPayload> accepted = fill(transport, 0);

      assertTrue(transport.queuedBytes(0) <= OUTBOUND.bytes());
      assertTrue(accepted.size() <= OUTBOUND.batches());
      assertTrue(transport.counters().backPressured() > 0);
      receiver.goOn();
      Eventually.await("recovery", () -> receiver.received().numArrived() == 1 + accepted.size());
      Eventually.await("queue", () -> transport.queuedBytes(0) == 0);
      assertTrue(accepted.stream().allMatch(payload -> payload.releases() == 1));
    }
  }

  @Test
  void shouldServeOtherPeersWhileOneStalls() {
    StallingReceiver stalling = new StallingReceiver();
    RecordingReceiver prompt = new RecordingReceiver();
    try (NodeTransport sender = NodeTransport.open(udp(0), new RecordingReceiver(), events);
        NodeTransport stalled = NodeTransport.open(udp(1), stalling, events);
        NodeTransport other = NodeTransport.open(udp(2), prompt, events)) {
      connect(sender, stalled, other);
      BatchHeader first = Batches.header(1000, 1, 1);
      Batches.send(sender, 1, first, Batches.payload(first));
      stalling.awaitStalled();
      List<CountedPayload> waiting = fill(sender, 1);

      for (int i = 0; i < 50; i++) {
        BatchHeader header = Batches.header(i, 50, 257);
        Batches.send(sender, 2, header, Batches.payload(header));
        assertEquals(header, prompt.take().header());
      }
      assertTrue(sender.queuedBytes(1) > 0, "still pushed back");

      sender.connect(List.of(other.local()));
      Eventually.await("releases", () -> waiting.stream().allMatch(p -> p.releases() == 1));
      assertTrue(events.count("PEER_REMOVED") > 0);
      assertEquals(Offer.NOT_CONNECTED, sender.offer(1, first, Batches.payload(first)));
      stalling.goOn();
    }
  }

  @Test
  void shouldGoOnAfterARefusedBatch() {
    RecordingReceiver receiver =
        new RecordingReceiver(
            header -> header.step() == 1 ? null : new CountedPayload(header.payloadBytes()));
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      for (int step = 0; step < 3; step++) {
        BatchHeader header = Batches.header(step, 100, 100);
        Batches.send(transport, 0, header, Batches.payload(header));
      }
      Set<Long> steps = Set.of(receiver.take().header().step(), receiver.take().header().step());
      assertEquals(Set.of(0L, 2L), steps);
      Eventually.await("refusal", () -> transport.counters().refusedBatches() == 1);
    }
  }

  @Test
  void shouldSendAndReceiveOnAThreadThatHelps() {
    Set<Thread> receiving = ConcurrentHashMap.newKeySet();
    RecordingReceiver receiver =
        new RecordingReceiver(
            header -> {
              receiving.add(Thread.currentThread());
              return new CountedPayload(header.payloadBytes());
            });
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      for (int step = 0; step < 200; step++) {
        BatchHeader header = Batches.header(step, 20, 50);
        CountedPayload payload = Batches.payload(header);
        assertEquals(Offer.ACCEPTED, transport.offer(0, header, payload));
        Eventually.await(
            "batch " + header,
            () -> {
              transport.progress();
              return receiver.numArrived() > 0;
            });
        RecordingReceiver.Arrival arrival = receiver.take();
        assertEquals(header, arrival.header());
        assertArrayEquals(
            Batches.rows(header), arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE));
        assertEquals(1, payload.releases());
      }
      assertTrue(receiving.contains(Thread.currentThread()), "this thread helped");
      assertTrue(transport.counters().busyNs() > 0);
    }
  }

  @Test
  void shouldSendWithoutTheThreadThatHelpedOnce() {
    RecordingReceiver receiver = new RecordingReceiver();
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      transport.progress();
      BatchHeader header = Batches.header(1, 20, 50);
      assertEquals(Offer.ACCEPTED, transport.offer(0, header, Batches.payload(header)));
      assertEquals(header, receiver.take().header());
    }
  }

  @Test
  void shouldKeepEveryBatchWhenManyThreadsHelpAtOnce() throws Exception {
    RecordingReceiver receiver = new RecordingReceiver();
    List<CountedPayload> payloads = new CopyOnWriteArrayList<>();
    List<Thread> helpers = new ArrayList<>();
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      for (int helper = 0; helper < 4; helper++) {
        int first = helper * 1000;
        helpers.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      for (int step = first; step < first + 500; step++) {
                        BatchHeader header = Batches.header(step, 3, 100);
                        CountedPayload payload = Batches.payload(header);
                        payloads.add(payload);
                        while (transport.offer(0, header, payload) != Offer.ACCEPTED) {
                          transport.progress();
                        }
                        transport.progress();
                      }
                    }));
      }
      Set<Long> steps = new HashSet<>();
      for (int i = 0; i < 2000; i++) {
        RecordingReceiver.Arrival arrival = receiver.take();
        assertTrue(steps.add(arrival.header().step()), "once each");
        assertArrayEquals(
            Batches.rows(arrival.header()),
            arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE));
      }
      for (Thread helper : helpers) {
        helper.join();
      }
    }
    assertEquals(2000, payloads.stream().mapToInt(CountedPayload::releases).sum());
  }

  @Test
  void shouldLeaveAClosedTransportAlone() {
    NodeTransport transport = NodeTransport.open(ipc(0), new RecordingReceiver(), events);
    transport.close();
    assertFalse(transport.progress());
  }

  @Test
  void shouldDropBatchesOfOlderEpochs() {
    RecordingReceiver receiver = new RecordingReceiver();
    try (NodeTransport transport = NodeTransport.open(ipc(0), receiver, events)) {
      transport.setEpoch(2);
      BatchHeader old = Batches.header(1, 10, 10); // of epoch 1
      CountedPayload payload = Batches.payload(old);
      Batches.send(transport, 0, old, payload);
      BatchHeader current = Batches.header(Batches.RUN_ID, 2, 2, 10, 10);
      Batches.send(transport, 0, current, Batches.payload(current));
      assertEquals(current, receiver.take().header());
      Eventually.await("event", () -> events.count("undelivered 0 1 OLD_EPOCH") == 1);
      assertEquals(1, payload.releases());
    }
  }

  @Test
  void shouldDropBatchesOfOtherRuns() {
    RecordingReceiver receiver = new RecordingReceiver();
    TransportSettings otherRun = small(TransportSettings.of(Batches.RUN_ID + 1, 1, Mode.UDP));
    try (NodeTransport sender = NodeTransport.open(udp(0), new RecordingReceiver(), events);
        NodeTransport other = NodeTransport.open(otherRun, receiver, events)) {
      connect(sender, other);
      BatchHeader header = Batches.header(1, 0, 10);
      Batches.send(sender, 1, header, Batches.payload(header));
      Eventually.await("count", () -> other.counters().foreignFrames() == 1);
      assertEquals(0, receiver.allocated().size());
    }
  }

  @Test
  void shouldGiveBackABatchWhoseMemoryCannotBeRead() {
    try (NodeTransport transport = NodeTransport.open(ipc(0), new RecordingReceiver(), events)) {
      BatchHeader header = Batches.header(1, 10, 10);
      CountedPayload confined =
          new CountedPayload(Arena.ofConfined().allocate(header.payloadBytes()));
      Batches.send(transport, 0, header, confined);
      Eventually.await("event", () -> events.count("undelivered 0 1 UNREADABLE") == 1);
      assertEquals(1, confined.releases());
    }
  }

  @Test
  void shouldSayWhatIsUndeliveredWhenANodeGoesAway() {
    StallingReceiver stalling = new StallingReceiver();
    try (NodeTransport sender = NodeTransport.open(udp(0), new RecordingReceiver(), events)) {
      NodeTransport gone = NodeTransport.open(udp(1), stalling, TransportEvents.NONE);
      connect(sender, gone);
      BatchHeader first = Batches.header(1000, 1, 1);
      Batches.send(sender, 1, first, Batches.payload(first));
      stalling.awaitStalled();
      List<CountedPayload> accepted = fill(sender, 1);
      Thread closing = Thread.ofPlatform().start(gone::close);
      stalling.goOn();
      Eventually.await("releases", () -> accepted.stream().allMatch(p -> p.releases() == 1));
      Eventually.await("disconnect", () -> events.count("disconnected 1") == 1);
      Eventually.await(
          "refusal", () -> sender.offer(1, first, new CountedPayload(4)) == Offer.NOT_CONNECTED);
      // What the publication had taken may have arrived or not: the disconnection says so.
      Eventually.await(
          "accounts",
          () -> {
            long sent = sender.counters().batchesSent() - 1;
            return accepted.size() == sent + events.count("NOT_CONNECTED");
          });
      Eventually.await("close", () -> !closing.isAlive());
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldReleaseEveryPayloadOnceWhenClosedWhileSending(boolean isUdp)
      throws InterruptedException {
    RecordingReceiver receiver = new RecordingReceiver();
    NodeTransport transport = NodeTransport.open(isUdp ? udp(0) : ipc(0), receiver, events);
    Map<CountedPayload, Offer> offers = new ConcurrentHashMap<>();
    List<Thread> senders =
        IntStream.range(0, 3)
            .mapToObj(t -> Thread.ofPlatform().start(() -> offerUntilClosed(transport, offers)))
            .toList();
    Eventually.await("traffic", () -> transport.counters().batchesReceived() > 20);
    transport.close();
    for (Thread sender : senders) {
      sender.join();
    }
    offers.forEach(
        (payload, offer) ->
            assertEquals(offer == Offer.ACCEPTED ? 1 : 0, payload.releases(), offer.toString()));
    TransportCounters counters = transport.counters();
    long accepted = offers.values().stream().filter(o -> o == Offer.ACCEPTED).count();
    assertEquals(accepted, counters.batchesSent() + events.count("CLOSED"));
    long released = receiver.allocated().stream().mapToInt(CountedPayload::releases).sum();
    assertEquals(receiver.allocated().size(), counters.batchesReceived() + released);
    assertEquals(released, counters.abandonedBatches());
  }

  private static void offerUntilClosed(NodeTransport transport, Map<CountedPayload, Offer> offers) {
    Offer offer = null;
    for (int i = 0; offer != Offer.CLOSED; i++) {
      BatchHeader header = Batches.header(i, i % 70, 301);
      CountedPayload payload = new CountedPayload(header.payloadBytes());
      offer = transport.offer(0, header, payload);
      offers.put(payload, offer);
    }
  }

  @Test
  void shouldReportAPeerThatCannotBeReached() {
    try (NodeTransport transport = NodeTransport.open(udp(0), new RecordingReceiver(), events)) {
      transport.connect(
          List.of(new Endpoint(1, "aeron:udp?endpoint=127.0.0.1:0x", Machine.id(), "/nowhere")));
      Eventually.await("event", () -> events.lines().stream().anyMatch(l -> l.contains("error")));
      BatchHeader header = Batches.header(1, 0, 1);
      assertEquals(Offer.NOT_CONNECTED, transport.offer(1, header, Batches.payload(header)));
    }
  }
}
