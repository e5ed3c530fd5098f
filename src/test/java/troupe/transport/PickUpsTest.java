package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BooleanSupplier;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import troupe.Eventually;

/** What lender and borrower know of each other, without a connection between them. */
class PickUpsTest {
  private static final int LENDER = 7;
  private static final BatchHeader HEADER = Batches.header(1, 10, 10);
  private static final byte[] REFERENCE = {1, 2, 3};

  @TempDir private Path folder;

  private final List<String> heard = new ArrayList<>();
  private final LiveCounters counters = new LiveCounters();
  private final List<CountedPayload> taken = new ArrayList<>();
  private final List<String> returned = new ArrayList<>();
  private BooleanSupplier over = () -> true;
  private PickUp answer;
  private RuntimeException failure;

  /** While the lock is held. */
  private Runnable duringPickUp = () -> {};

  private Loans loans;
  private PickUps pickUps;

  private final BatchReceiver receiver =
      new BatchReceiver() {
        @Override
        public Payload allocate(BatchHeader header) {
          throw new AssertionError("no frames of rows come");
        }

        @Override
        public PickUp pickUp(int node, BatchHeader header, byte[] reference) {
          assertEquals(LENDER, node);
          assertEquals(REFERENCE.length, reference.length);
          if (failure != null) {
            throw failure;
          }
          duringPickUp.run();
          return answer;
        }

        @Override
        public void forget(int node) {
          heard.add("forget " + node);
        }

        @Override
        public void onBatch(BatchHeader header, Payload payload) {
          heard.add("batch " + header.step());
        }
      };

  @BeforeEach
  void open() {
    CountedPayload rows = new CountedPayload(HEADER.payloadBytes());
    answer = new PickUp(rows, () -> over.getAsBoolean(), () -> heard.add("abandon"));
    loans = new Loans(LENDER, folder);
    pickUps =
        new PickUps(
            folder,
            receiver,
            new TransportEvents() {
              @Override
              public void onError(Throwable error) {
                heard.add("error " + error.getMessage());
              }
            },
            counters);
  }

  @AfterEach
  void close() {
    pickUps.close();
    loans.recall(_ -> {});
  }

  /** Lends a batch; the notice is on its way. */
  private Notice lend() {
    try {
      Notice notice = loans.notice(REFERENCE);
      CountedPayload payload = new CountedPayload(HEADER.payloadBytes());
      taken.add(payload);
      loans.add(new Outbound(HEADER, payload, payload.byteSize()));
      return notice;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private Verdict show(Notice notice) {
    return pickUps.onNotice(notice, HEADER, Verdict.ACCEPTED);
  }

  private List<String> settle() {
    returned.clear();
    loans.settle((batch, said) -> returned.add(taken.indexOf(batch.payload()) + " " + said));
    return returned;
  }

  @Test
  void shouldGiveBackWhatIsCopiedInOrder() {
    over = () -> false;
    assertEquals(Verdict.ACCEPTED, show(lend()));
    assertEquals(Verdict.ACCEPTED, show(lend()));
    assertEquals(List.of("batch 1", "batch 1"), heard, "nobody waits for the copy");
    assertEquals(0, pickUps.giveBack());
    assertEquals(List.of(), settle());
    over = () -> true;
    assertEquals(2, pickUps.giveBack());
    assertEquals(List.of("0 DONE", "1 DONE"), settle());
    assertEquals(
        new TransportCounters.Traffic(0, 0, 2, 2 * HEADER.payloadBytes()),
        counters.of(Way.PICK_UP).snapshot());
  }

  @Test
  void shouldNotKeepWhatIsOfOneLenderForAnothersCopy() throws IOException {
    over = () -> false;
    show(lend());
    Loans others = new Loans(LENDER, folder);
    try {
      answer = new PickUp(answer.payload(), () -> true, () -> {});
      Notice notice = others.notice(REFERENCE);
      CountedPayload rows = new CountedPayload(HEADER.payloadBytes());
      others.add(new Outbound(HEADER, rows, rows.byteSize()));
      assertEquals(Verdict.ACCEPTED, show(notice));
      assertEquals(1, pickUps.giveBack());
      others.settle((batch, said) -> returned.add("other " + said));
      assertEquals(List.of("other DONE"), returned);
      assertEquals(List.of(), settle());
    } finally {
      others.recall(_ -> {});
    }
  }

  @Test
  void shouldGiveBackAtOnceWhatNobodyWants() {
    assertEquals(Verdict.FOREIGN, pickUps.onNotice(lend(), HEADER, Verdict.FOREIGN));
    answer = null;
    assertEquals(Verdict.DISCARDED, show(lend()));
    assertEquals(List.of("0 DONE", "1 DONE"), settle());
    assertEquals(List.of(), heard);
    assertEquals(1, counters.refusedBatches.sum());
  }

  @Test
  void shouldSayWhatItCannotReach() {
    answer = PickUp.OUT_OF_REACH;
    assertEquals(Verdict.DISCARDED, show(lend()));
    assertEquals(List.of("0 OUT_OF_REACH"), settle());
    assertEquals(List.of(), heard);
  }

  @Test
  void shouldHaveRowsSentWhenTheReceiverThrows() {
    answer = null;
    failure = new IllegalStateException("no memory");
    assertEquals(Verdict.DISCARDED, show(lend()));
    assertEquals(List.of("0 OUT_OF_REACH"), settle());
    assertEquals(List.of("error no memory"), heard);
  }

  @Test
  void shouldGiveBackWhatWasLostWithAConnection() {
    show(lend());
    Notice lost = lend();
    lend();
    Notice next = lend();
    assertEquals(Verdict.ACCEPTED, show(next));
    assertEquals(Verdict.DUPLICATE, show(next));
    assertEquals(Verdict.DUPLICATE, show(lost), "its rows may be others by now");
    assertEquals(2, pickUps.giveBack());
    assertEquals(List.of("0 DONE", "1 DONE", "2 DONE", "3 DONE"), settle());
  }

  @Test
  void shouldGoOnWhereALenderWasForgotten() {
    for (int i = 0; i < 2 * Returns.CAPACITY; i++) {
      show(lend());
      pickUps.giveBack();
      settle();
    }
    over = () -> false;
    show(lend());
    pickUps.forget(LENDER);
    assertEquals("forget 7", heard.getLast());
    over = () -> true;
    assertEquals(0, pickUps.giveBack(), "it has no say any more");
    assertEquals(Verdict.ACCEPTED, show(lend()));
    pickUps.giveBack();
    assertEquals(2, settle().size());
  }

  @Test
  void shouldAbandonWhatIsOfAnOlderEpoch() {
    over = () -> false;
    show(lend());
    heard.clear();
    pickUps.epoch(HEADER.epoch());
    assertEquals(List.of(), heard);
    pickUps.epoch(HEADER.epoch() + 1);
    assertEquals(List.of("abandon"), heard);
    over = () -> true;
    assertEquals(1, pickUps.giveBack());
    show(lend());
    assertEquals(List.of("abandon", "abandon", "batch 1"), heard, "it was on its way");
  }

  @Test
  void shouldBeginAnEpochWhileAnotherThreadHasTheLock() {
    over = () -> false;
    show(lend());
    heard.clear();
    // Who has it waits for a device that waits for the lender.
    duringPickUp =
        () -> {
          Thread host = Thread.ofPlatform().start(() -> pickUps.epoch(HEADER.epoch() + 1));
          Eventually.await("the epoch", () -> !host.isAlive());
          assertEquals(List.of("abandon"), heard, "what was there");
        };
    show(lend());
    assertEquals(List.of("abandon", "abandon", "batch 1"), heard, "and what came meanwhile");
  }

  @Test
  void shouldAbandonWhatAForgottenLenderLent() {
    over = () -> false;
    show(lend());
    pickUps.forget(LENDER + 1);
    assertFalse(heard.contains("abandon"));
    pickUps.forget(LENDER);
    assertTrue(heard.contains("abandon"));
    heard.clear();
    show(lend());
    pickUps.close();
    assertTrue(heard.contains("abandon"));
  }

  @Test
  void shouldLendNoMoreThanThereAreEntries() {
    over = () -> false;
    for (int i = 0; i < Returns.CAPACITY; i++) {
      assertTrue(loans.hasRoom());
      show(lend());
    }
    assertFalse(loans.hasRoom());
    over = () -> true;
    assertEquals(Returns.CAPACITY, pickUps.giveBack());
    assertEquals(Returns.CAPACITY, settle().size());
    assertTrue(loans.hasRoom());
  }

  @Test
  void shouldGiveBackWhenTheDeviceIsLost() {
    over =
        () -> {
          throw new IllegalStateException("lost");
        };
    show(lend());
    assertEquals(1, pickUps.giveBack());
    assertEquals(List.of("0 DONE"), settle());
    assertEquals(List.of("batch 1", "error lost"), heard);
  }

  @Test
  void shouldRefuseWhatNobodyHereLends() {
    Notice notice = lend();
    loans.recall(batch -> batch.payload().release());
    assertEquals(List.of(1), taken.stream().map(CountedPayload::releases).toList());
    assertEquals(Verdict.DISCARDED, show(notice));
    assertEquals(1, counters.refusedBatches.sum());
    assertEquals(List.of(), heard);
  }

  @Test
  void shouldLeaveNoFiles() throws IOException {
    show(lend());
    loans.recall(_ -> {});
    try (Stream<Path> left = Files.list(folder)) {
      assertEquals(List.of(), left.toList());
    }
    // The borrower's memory is still there.
    assertEquals(1, pickUps.giveBack());
  }
}
