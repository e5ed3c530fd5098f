package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;

class AssemblerTest {
  private static final int STRIDE = 1024;
  private static final Duration STALE_AFTER = Duration.ofNanos(100);

  private final LiveCounters counters = new LiveCounters();
  private final List<BatchHeader> abandoned = new ArrayList<>();
  private final List<Throwable> errors = new ArrayList<>();
  private final TransportEvents events =
      new TransportEvents() {
        @Override
        public void onAbandoned(BatchHeader header) {
          abandoned.add(header);
        }

        @Override
        public void onError(Throwable error) {
          errors.add(error);
        }
      };
  private RecordingReceiver receiver = new RecordingReceiver();
  private Assembler assembler =
      assembler(new TransportSettings.Inbound(1 << 20, 2, 8192, STALE_AFTER));
  private long nowNs;

  private Assembler assembler(TransportSettings.Inbound bounds) {
    return assembler(new InboundBudget(bounds));
  }

  private Assembler assembler(InboundBudget budget) {
    PickUps none = new PickUps(Path.of("."), receiver, events, counters);
    return new Assembler(Batches.RUN_ID, budget, receiver, none, events, counters);
  }

  private void receiveWith(RecordingReceiver newReceiver) {
    receiver = newReceiver;
    assembler = assembler(new TransportSettings.Inbound(1 << 20, 2, 8192, STALE_AFTER));
  }

  private Verdict show(byte[] frame) {
    return show(assembler, frame);
  }

  private Verdict show(Assembler to, byte[] frame) {
    return to.onFrame(Way.UDP, new UnsafeBuffer(frame), 0, frame.length, nowNs);
  }

  /** The frames of a batch of {@code numFrames} chunks, numbered {@code sequence}. */
  private static List<byte[]> frames(long sequence, int numFrames) {
    return Frames.of(header(sequence, numFrames), new BatchId(1, sequence), STRIDE);
  }

  private static BatchHeader header(long step, int numFrames) {
    return Batches.header(step, numFrames, STRIDE / 4);
  }

  @Test
  void shouldAssembleWhateverTheOrder() {
    List<byte[]> frames = frames(1, 5);
    Collections.reverse(frames);
    frames.forEach(frame -> assertEquals(Verdict.ACCEPTED, show(frame)));
    RecordingReceiver.Arrival arrival = receiver.take();
    assertArrayEquals(
        Batches.rows(header(1, 5)), arrival.payload().bytes().toArray(ValueLayout.JAVA_BYTE));
    assertEquals(1, counters.of(Way.UDP).snapshot().batchesReceived());
  }

  @Test
  void shouldDropDuplicatesBeforeAndAfterCompletion() {
    List<byte[]> frames = frames(1, 2);
    assertEquals(Verdict.ACCEPTED, show(frames.get(0)));
    assertEquals(Verdict.DUPLICATE, show(frames.get(0)));
    assertEquals(Verdict.ACCEPTED, show(frames.get(1)));
    assertEquals(Verdict.DUPLICATE, show(frames.get(0)));
    assertEquals(Verdict.DUPLICATE, show(frames.get(1)));
    assertEquals(3, counters.duplicateFrames.sum());
    assertEquals(1, receiver.numArrived());
    assertEquals(1, receiver.allocated().size());
  }

  @Test
  void shouldDropASecondFrameWithoutRows() {
    byte[] frame = frames(1, 0).getFirst();
    assertEquals(Verdict.ACCEPTED, show(frame));
    assertEquals(Verdict.DUPLICATE, show(frame));
    assertEquals(1, receiver.numArrived());
  }

  @Test
  void shouldHoldANewBatchWhileTooManyAreIncompleteButFinishThose() {
    List<byte[]> first = frames(1, 2);
    List<byte[]> second = frames(2, 2);
    List<byte[]> third = frames(3, 2);
    show(first.get(0));
    show(second.get(0));
    assertEquals(Verdict.HELD, show(third.get(0)));
    assertEquals(2, receiver.allocated().size(), "no memory beyond the bound");
    assertEquals(Verdict.ACCEPTED, show(first.get(1)));
    assertEquals(Verdict.ACCEPTED, show(third.get(0)));
    assertEquals(4, counters.acceptedFrames.sum(), "a held frame is counted when it is taken");
  }

  @Test
  void shouldHoldANewBatchWhileTooManyBytesAreIncomplete() {
    show(frames(1, 6).getFirst());
    assertEquals(Verdict.HELD, show(frames(2, 3).getFirst()));
    assertEquals(Verdict.ACCEPTED, show(frames(3, 2).getFirst()));
  }

  @Test
  void shouldHoldANewBatchWhileOtherStrandsHaveTooMany() {
    InboundBudget budget =
        new InboundBudget(new TransportSettings.Inbound(1 << 20, 2, 8192, STALE_AFTER));
    Assembler one = assembler(budget);
    Assembler other = assembler(budget);
    List<byte[]> first = frames(1, 2);
    byte[] third = frames(3, 2).getFirst();
    assertEquals(Verdict.ACCEPTED, show(one, first.get(0)));
    assertEquals(Verdict.ACCEPTED, show(one, frames(2, 2).getFirst()));
    assertEquals(Verdict.HELD, show(other, third));
    assertEquals(Verdict.ACCEPTED, show(one, first.get(1)));
    assertEquals(Verdict.ACCEPTED, show(other, third));
    one.close();
    assertEquals(Verdict.ACCEPTED, show(other, frames(4, 2).getFirst()), "what ends makes room");
  }

  @Test
  void shouldTakeASingleBatchLargerThanTheBound() {
    frames(1, 20).forEach(frame -> assertEquals(Verdict.ACCEPTED, show(frame)));
    assertEquals(1, receiver.numArrived());
  }

  @Test
  void shouldAbandonAStaleBatchAndMakeRoom() {
    List<byte[]> frames = frames(1, 3);
    show(frames.get(0));
    nowNs = 80;
    show(frames.get(1));
    nowNs = 180;
    show(frames.get(1)); // a duplicate is no progress
    assertEquals(0, assembler.expire(nowNs));
    assertEquals(1, assembler.expire(181));
    assertEquals(List.of(header(1, 3)), abandoned);
    assertEquals(1, receiver.allocated().getFirst().releases());
    assertEquals(Verdict.DISCARDED, show(frames.get(2)), "it does not begin again");
    assertEquals(1, counters.abandonedBatches.sum());
    assertEquals(0, receiver.numArrived());
  }

  @Test
  void shouldDropForeignFramesAndAllocateNothing() {
    assembler.epoch(2);
    BatchHeader otherRun = Batches.header(Batches.RUN_ID + 1, 2, 1, 1, 8);
    BatchHeader oldEpoch = Batches.header(Batches.RUN_ID, 1, 1, 1, 8);
    BatchHeader nextEpoch = Batches.header(Batches.RUN_ID, 3, 1, 1, 8);
    assertEquals(Verdict.FOREIGN, show(Frames.at(otherRun, new BatchId(1, 1), STRIDE, 0)));
    assertEquals(Verdict.FOREIGN, show(Frames.at(oldEpoch, new BatchId(1, 2), STRIDE, 0)));
    assertEquals(0, receiver.allocated().size());
    // A sender may learn of an epoch first; its batches are for the receiver to judge.
    assertEquals(Verdict.ACCEPTED, show(Frames.at(nextEpoch, new BatchId(1, 3), STRIDE, 0)));
  }

  @Test
  void shouldAbandonIncompleteBatchesWhenAnEpochBegins() {
    List<byte[]> frames = frames(1, 2); // of epoch 1
    show(frames.get(0));
    assembler.epoch(2);
    assertEquals(1, counters.abandonedBatches.sum());
    assertEquals(1, receiver.allocated().getFirst().releases());
    assertEquals(Verdict.FOREIGN, show(frames.get(1)));
    assembler.epoch(1);
    assertEquals(Verdict.FOREIGN, show(frames.get(1)), "an epoch never comes back");
  }

  @Test
  void shouldCountARefusedBatchOnceAndDropItsFrames() {
    receiveWith(new RecordingReceiver(header -> null));
    frames(1, 3).forEach(frame -> assertEquals(Verdict.DISCARDED, show(frame)));
    assertEquals(1, counters.refusedBatches.sum());
    assertEquals(3, counters.discardedFrames.sum());
  }

  @Test
  void shouldRefuseATooLargeBatchWithoutAskingForMemory() {
    BatchHeader tooLarge = Batches.header(1, 1025, STRIDE / 4);
    assertEquals(Verdict.DISCARDED, show(Frames.at(tooLarge, new BatchId(1, 1), STRIDE, 0)));
    assertEquals(1, counters.refusedBatches.sum());
    assertEquals(0, receiver.allocated().size());
  }

  @Test
  void shouldRefuseWhenTheReceiverAllocatesTheWrongSize() {
    receiveWith(new RecordingReceiver(header -> new CountedPayload(header.payloadBytes() - 1)));
    assertEquals(Verdict.DISCARDED, show(frames(1, 2).getFirst()));
    assertEquals(1, errors.size());
    assertEquals(1, receiver.allocated().getFirst().releases());
  }

  @Test
  void shouldSurviveAReceiverThatThrows() {
    receiveWith(
        new RecordingReceiver(
            header -> {
              throw new OutOfMemoryError("no memory");
            }));
    assertEquals(Verdict.DISCARDED, show(frames(1, 2).getFirst()));
    assertEquals(1, errors.size());
    assertEquals(1, counters.refusedBatches.sum());
  }

  @Test
  void shouldAbandonABatchWhoseMemoryWasTakenBack() {
    Arena arena = Arena.ofConfined();
    receiveWith(
        new RecordingReceiver(
            header -> new CountedPayload(arena.allocate(header.payloadBytes(), 64))));
    List<byte[]> frames = frames(1, 2);
    assertEquals(Verdict.ACCEPTED, show(frames.get(0)));
    arena.close();
    assertEquals(Verdict.DISCARDED, show(frames.get(1)));
    assertEquals(1, counters.abandonedBatches.sum());
    assertEquals(1, errors.size());
  }

  @Test
  void shouldCallAFrameMalformedWhenItContradictsItsBatch() {
    show(frames(1, 3).getFirst());
    BatchHeader other = header(2, 3);
    assertEquals(Verdict.MALFORMED, show(Frames.at(other, new BatchId(1, 1), STRIDE, STRIDE)));
    byte[] otherStride = Frames.at(header(1, 3), new BatchId(1, 1), 2 * STRIDE, 2 * STRIDE);
    assertEquals(Verdict.MALFORMED, show(otherStride));
  }

  @Test
  void shouldForgetOldBatchesSoThatMemoryStaysBounded() {
    SettledBatches settled = new SettledBatches(3);
    for (int i = 0; i < 5; i++) {
      settled.settle(new BatchId(1, i), Verdict.DUPLICATE);
    }
    assertEquals(null, settled.of(new BatchId(1, 1)));
    assertEquals(Verdict.DUPLICATE, settled.of(new BatchId(1, 2)));
  }

  @Test
  void shouldReleaseWhatIsIncompleteWhenClosed() {
    show(frames(1, 2).getFirst());
    show(frames(2, 2).getFirst());
    assembler.close();
    assertTrue(receiver.allocated().stream().allMatch(payload -> payload.releases() == 1));
    assertEquals(2, counters.abandonedBatches.sum());
  }
}
