package troupe.transport;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;
import org.agrona.DirectBuffer;

/**
 * Puts frames together to batches: each chunk goes from the frame straight to its place in the
 * memory that the receiver allocated. Used by one thread; those of several strands share their
 * bounds. No frame makes it throw, allocate beyond its bounds or write outside a destination.
 *
 * <p>When too many batches are incomplete, frames that would begin another are {@link
 * Verdict#HELD}, while those of incomplete ones go on being accepted: what holds the place can
 * always finish, or goes stale and is abandoned.
 */
final class Assembler {
  /** Frames of a batch may come late by that many batches and still be recognised. */
  private static final int SETTLED_BATCHES = 4096;

  private final long runId;
  private final InboundBudget budget;
  private final BatchReceiver receiver;
  private final PickUps pickUps;
  private final TransportEvents events;
  private final LiveCounters counters;
  private final FrameFlyweight frame = new FrameFlyweight();
  private final FrameMemory memory = new FrameMemory();
  private final List<Assembly> incomplete = new ArrayList<>();
  private final SettledBatches settled = new SettledBatches(SETTLED_BATCHES);
  private int epoch = Integer.MIN_VALUE;

  Assembler(
      long runId,
      InboundBudget budget,
      BatchReceiver receiver,
      PickUps pickUps,
      TransportEvents events,
      LiveCounters counters) {
    this.runId = runId;
    this.budget = budget;
    this.receiver = receiver;
    this.pickUps = pickUps;
    this.events = events;
    this.counters = counters;
  }

  /** Takes a frame that came by a channel and counts it, unless it is held. */
  Verdict onFrame(Way channel, DirectBuffer buffer, int offset, int length, long nowNs) {
    Verdict verdict = FrameDecoder.decode(frame, memory, channel, buffer, offset, length);
    if (verdict == Verdict.ACCEPTED) {
      boolean isForeign = frame.runId() != runId || frame.epoch() < epoch;
      verdict = isForeign ? Verdict.FOREIGN : Verdict.ACCEPTED;
      if (frame.way(channel) == Way.PICK_UP) {
        verdict = pickUp(verdict, buffer, offset);
      } else if (!isForeign) {
        verdict = place(channel, buffer, offset, nowNs);
      }
    }
    counters.count(verdict);
    return verdict;
  }

  private Verdict pickUp(Verdict wanted, DirectBuffer buffer, int offset) {
    int start = offset + FrameFlyweight.HEADER_LENGTH;
    Notice notice = Notice.read(buffer, start, frame.chunkLength());
    boolean fits = frame.totalBytes() <= budget.bounds().maxBatchBytes();
    return pickUps.onNotice(notice, frame.batch(), fits ? wanted : Verdict.DISCARDED);
  }

  /**
   * From now on, frames of older epochs are foreign; incomplete batches of older epochs are
   * abandoned.
   */
  void epoch(int newEpoch) {
    if (newEpoch > epoch) {
      epoch = newEpoch;
      abandonIf(assembly -> assembly.header().epoch() < newEpoch);
    }
  }

  /** Abandons the batches of which nothing has come for too long. Returns how many. */
  int expire(long nowNs) {
    if (incomplete.isEmpty()) {
      return 0;
    }
    long staleAfterNs = budget.bounds().staleAfter().toNanos();
    return abandonIf(assembly -> nowNs - assembly.lastProgressNs() > staleAfterNs);
  }

  /** Abandons all incomplete batches. */
  void close() {
    abandonIf(assembly -> true);
  }

  private Verdict place(Way way, DirectBuffer buffer, int offset, long nowNs) {
    Assembly assembly = find();
    if (assembly == null) {
      BatchId id = new BatchId(frame.source(), frame.sequence());
      Verdict known = settled.of(id);
      if (known != null) {
        return known;
      }
      long bytes = frame.totalBytes();
      if (bytes > budget.bounds().maxBatchBytes()) {
        return refuse(id);
      }
      if (!budget.take(bytes)) {
        return Verdict.HELD;
      }
      assembly = begin(nowNs);
      if (assembly == null) {
        budget.give(bytes);
        return refuse(id);
      }
    }
    try {
      Verdict verdict = assembly.add(frame, memory, buffer, offset, nowNs);
      if (assembly.isComplete()) {
        complete(way, assembly);
      }
      return verdict;
    } catch (RuntimeException e) {
      // The receiver took its memory back: another thread's arena, or one that is closed.
      events.onError(e);
      abandon(assembly);
      return Verdict.DISCARDED;
    }
  }

  private Assembly find() {
    for (int i = 0; i < incomplete.size(); i++) {
      if (incomplete.get(i).isOf(frame)) {
        return incomplete.get(i);
      }
    }
    return null;
  }

  private Verdict refuse(BatchId id) {
    settled.settle(id, Verdict.DISCARDED);
    counters.refusedBatches.increment();
    return Verdict.DISCARDED;
  }

  private Assembly begin(long nowNs) {
    BatchHeader header = frame.batch();
    Payload payload = null;
    try {
      payload = receiver.allocate(header);
      if (payload == null) {
        return null;
      }
      MemorySegment rows = payload.bytes();
      if (rows.byteSize() != header.payloadBytes() || rows.isReadOnly()) {
        throw new IllegalStateException(
            "allocated: %d bytes (expected: %d writable, for %s)"
                .formatted(rows.byteSize(), header.payloadBytes(), header));
      }
      Assembly assembly = new Assembly(frame, header, payload, rows, nowNs);
      incomplete.add(assembly);
      return assembly;
    } catch (RuntimeException | OutOfMemoryError e) {
      events.onError(e);
      release(payload);
      return null;
    }
  }

  private void complete(Way way, Assembly assembly) {
    remove(assembly);
    settled.settle(assembly.id(), Verdict.DUPLICATE);
    counters.of(way).received(assembly.bytes());
    try {
      receiver.onBatch(assembly.header(), assembly.payload());
    } catch (RuntimeException e) {
      events.onError(e);
    }
  }

  private int abandonIf(Predicate<Assembly> condition) {
    int abandoned = 0;
    for (int i = incomplete.size() - 1; i >= 0; i--) {
      Assembly assembly = incomplete.get(i);
      if (condition.test(assembly)) {
        abandon(assembly);
        abandoned++;
      }
    }
    return abandoned;
  }

  private void abandon(Assembly assembly) {
    remove(assembly);
    settled.settle(assembly.id(), Verdict.DISCARDED);
    counters.abandonedBatches.increment();
    release(assembly.payload());
    events.onAbandoned(assembly.header());
  }

  private void remove(Assembly assembly) {
    incomplete.remove(assembly);
    budget.give(assembly.bytes());
  }

  private void release(Payload payload) {
    try {
      if (payload != null) {
        payload.release();
      }
    } catch (RuntimeException e) {
      events.onError(e);
    }
  }
}
