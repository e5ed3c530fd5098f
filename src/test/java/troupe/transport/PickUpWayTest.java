package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;
import troupe.transport.Transport.Offer;
import troupe.transport.TransportCounters.Traffic;
import troupe.transport.TransportSettings.Mode;

/** Rows that are copied from where they lie; two nodes of one process stand for two processes. */
class PickUpWayTest {
  private static final int LENDER = 1;
  private static final int BORROWER = 2;
  private static final BatchHeader HEADER = Batches.header(1, 100, 300);

  @TempDir private Path folder;

  private final RecordingEvents events = new RecordingEvents();
  private final PickingReceiver receiver = new PickingReceiver();
  private NodeTransport lender;
  private NodeTransport borrower;

  @BeforeEach
  void open() {
    open(Mode.AUTO);
  }

  private void open(Mode mode) {
    lender = NodeTransport.open(settings(LENDER, mode), new RecordingReceiver(), events);
    borrower = NodeTransport.open(settings(BORROWER, mode), receiver, events);
    connect();
  }

  private void connect() {
    lender.connect(List.of(borrower.local()));
    assertTrue(lender.awaitConnected(BORROWER, Eventually.TIMEOUT));
  }

  private static TransportSettings settings(int node, Mode mode) {
    return TransportSettings.of(Batches.RUN_ID, node, mode).with(null, 8192, 1 << 16);
  }

  @AfterEach
  void close() {
    lender.close();
    borrower.close();
    assertEquals(0, events.lines().stream().filter(line -> line.contains("error")).count());
  }

  private ShelvedPayload send(BatchHeader header) {
    ShelvedPayload payload = new ShelvedPayload(Batches.payload(header), folder);
    Batches.send(lender, BORROWER, header, payload);
    return payload;
  }

  private void assertArrives(BatchHeader header) {
    RecordingReceiver.Arrival arrival = receiver.take();
    assertEquals(header, arrival.header());
    assertArrayEquals(
        Batches.rows(header), arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE));
  }

  private static void assertReleased(ShelvedPayload payload) {
    Eventually.await("release", () -> payload.releases() == 1);
  }

  @Test
  void shouldLendRowsUntilTheyAreCopied() {
    receiver.isCopying(true);
    ShelvedPayload lent = send(HEADER);
    assertTrue(lent.isShelved());
    assertArrives(HEADER);
    // Whatever else travels meanwhile; of its order nothing is said.
    BatchHeader noRows = Batches.header(2, 0, 300);
    CountedPayload none = Batches.payload(noRows);
    Batches.send(lender, BORROWER, noRows, none);
    assertArrives(noRows);
    assertEquals(0, lent.releases());
    receiver.isCopying(false);
    assertReleased(lent);
    long bytes = HEADER.payloadBytes();
    assertEquals(new Traffic(1, bytes, 0, 0), lender.counters().pickUp());
    assertEquals(new Traffic(0, 0, 1, bytes), borrower.counters().pickUp());
    assertEquals(new Traffic(1, 0, 0, 0), lender.counters().ipc());
    assertEquals(2, lender.counters().batchesSent());
    assertEquals(bytes, borrower.counters().bytesReceived());
  }

  @Test
  void shouldSendRowsThatAreOutOfReachAndAllThatFollow() {
    receiver.isOutOfReach(true);
    ShelvedPayload first = send(HEADER);
    assertTrue(first.isShelved());
    assertArrives(HEADER);
    assertReleased(first);
    BatchHeader second = Batches.header(2, 10, 10);
    ShelvedPayload sent = send(second);
    assertFalse(sent.isShelved());
    assertArrives(second);
    assertReleased(sent);
    assertEquals(1, events.count("out of reach " + BORROWER));
    assertEquals(2, lender.counters().ipc().batchesSent());
    assertEquals(2, borrower.counters().ipc().batchesReceived());
    assertEquals(Traffic.NONE, borrower.counters().pickUp());
  }

  @Test
  void shouldSendManyThatWereLentBeforeTheAnswer() {
    receiver.isOutOfReach(true);
    List<ShelvedPayload> all = new ArrayList<>();
    for (int i = 0; i < 50; i++) {
      all.add(send(Batches.header(i, 10, 10)));
    }
    for (int i = 0; i < 50; i++) {
      receiver.take();
    }
    all.forEach(PickUpWayTest::assertReleased);
    assertEquals(1, events.count("out of reach " + BORROWER));
    assertEquals(50, borrower.counters().ipc().batchesReceived());
  }

  @Test
  void shouldTakeBackWhatIsOfAnOlderEpoch() {
    borrower.setEpoch(2);
    assertReleased(send(HEADER));
    assertEquals(1, borrower.counters().foreignFrames());
    assertEquals(0, receiver.numArrived());
  }

  @Test
  void shouldNotLendWhatIsOfAnOlderEpoch() {
    lender.setEpoch(2);
    assertReleased(send(HEADER));
    Eventually.await("event", () -> events.count("undelivered 2 1 OLD_EPOCH") == 1);
    assertEquals(0, receiver.numArrived());
  }

  @Test
  void shouldTakeBackWhatIsRefused() {
    receiver.isRefusing(true);
    assertReleased(send(HEADER));
    assertEquals(1, borrower.counters().refusedBatches());
    receiver.isRefusing(false);
    assertReleased(send(HEADER));
    assertArrives(HEADER);
  }

  @Test
  void shouldTellOfRowsBeforeTheyAreThere() {
    ShelvedPayload payload = new ShelvedPayload(Batches.payload(HEADER), folder).late();
    Batches.send(lender, BORROWER, HEADER, payload);
    assertArrives(HEADER);
    assertReleased(payload);
  }

  @Test
  void shouldNotTellOfParametersBeforeTheyAreThere() {
    BatchHeader parameters = Batches.header(Phase.TRUNK_PARAMETERS, 1, 10, 10);
    ShelvedPayload payload = new ShelvedPayload(Batches.payload(parameters), folder).late();
    Batches.send(lender, BORROWER, parameters, payload);
    // By one thread: what comes behind it in the queue would have gone, or be announced.
    Batches.send(lender, BORROWER, HEADER, Batches.payload(HEADER));
    Eventually.await("rounds", () -> payload.looks() > 3 || lender.counters().batchesSent() > 0);
    assertEquals(0, lender.counters().batchesSent());
    assertEquals(0, receiver.numArrived());
    payload.isHere();
    assertArrives(parameters);
    assertArrives(HEADER);
    assertReleased(payload);
  }

  @Test
  void shouldAbandonWhatIsOfAnOlderEpoch() {
    receiver.isCopying(true);
    ShelvedPayload payload = send(HEADER);
    assertArrives(HEADER);
    assertEquals(0, receiver.numAbandoned());
    borrower.setEpoch(HEADER.epoch() + 1);
    assertEquals(1, receiver.numAbandoned());
    receiver.isCopying(false);
    assertReleased(payload);
  }

  @Test
  void shouldPushBackAndNotWaitWhenTooMuchIsLent() {
    receiver.isCopying(true);
    List<ShelvedPayload> lent = new ArrayList<>();
    Eventually.await(
        "back pressure",
        () -> {
          BatchHeader header = Batches.header(lent.size(), 1, 1);
          ShelvedPayload payload = new ShelvedPayload(Batches.payload(header), folder);
          Offer offer = lender.offer(BORROWER, header, payload);
          if (offer == Offer.ACCEPTED) {
            lent.add(payload);
          }
          return offer == Offer.BACK_PRESSURED;
        });
    assertEquals(0, lent.stream().filter(payload -> payload.releases() > 0).count());
    receiver.isCopying(false);
    lent.forEach(PickUpWayTest::assertReleased);
    assertReleased(send(HEADER));
  }

  @Test
  void shouldTakeBackWhatIsLentToANodeThatIsRemoved() {
    receiver.isCopying(true);
    ShelvedPayload lent = send(HEADER);
    assertArrives(HEADER);
    lender.connect(List.of());
    assertReleased(lent);
    // As a node of the next epoch.
    connect();
    receiver.isCopying(false);
    assertReleased(send(HEADER));
  }

  @Test
  void shouldForgetANodeThatIsRemoved() {
    borrower.connect(List.of(lender.local()));
    assertTrue(borrower.awaitConnected(LENDER, Eventually.TIMEOUT));
    assertReleased(send(HEADER));
    borrower.connect(List.of());
    Eventually.await("forgotten", () -> receiver.forgotten().equals(List.of(LENDER)));
  }

  @Test
  void shouldTakeBackWhatIsLentWhenItIsClosed() {
    receiver.isCopying(true);
    ShelvedPayload lent = send(HEADER);
    assertArrives(HEADER);
    lender.close();
    assertEquals(1, lent.releases());
    receiver.isCopying(false);
  }

  @Test
  void shouldTakeBackWhatIsLentToANodeThatIsClosed() {
    receiver.isCopying(true);
    ShelvedPayload lent = send(HEADER);
    assertArrives(HEADER);
    borrower.close();
    lender.connect(List.of());
    assertReleased(lent);
  }

  @Test
  void shouldNotLendWhereAModeIsForced() {
    close();
    open(Mode.IPC);
    ShelvedPayload sent = send(HEADER);
    assertFalse(sent.isShelved());
    assertArrives(HEADER);
    assertReleased(sent);
    assertEquals(1, borrower.counters().ipc().batchesReceived());
  }
}
