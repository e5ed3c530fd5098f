package troupe.transport;

import java.util.concurrent.atomic.LongAdder;

/** The counters of a transport while it runs. */
final class LiveCounters {
  final LongAdder batchesSent = new LongAdder();
  final LongAdder batchesReceived = new LongAdder();
  final LongAdder bytesSent = new LongAdder();
  final LongAdder bytesReceived = new LongAdder();
  final LongAdder backPressured = new LongAdder();
  final LongAdder acceptedFrames = new LongAdder();
  final LongAdder malformedFrames = new LongAdder();
  final LongAdder corruptFrames = new LongAdder();
  final LongAdder foreignFrames = new LongAdder();
  final LongAdder duplicateFrames = new LongAdder();
  final LongAdder discardedFrames = new LongAdder();
  final LongAdder refusedBatches = new LongAdder();
  final LongAdder abandonedBatches = new LongAdder();

  /** Counts a frame; a held one will come again and is counted then. */
  void count(Verdict verdict) {
    switch (verdict) {
      case ACCEPTED -> acceptedFrames.increment();
      case MALFORMED -> malformedFrames.increment();
      case CORRUPT -> corruptFrames.increment();
      case FOREIGN -> foreignFrames.increment();
      case DUPLICATE -> duplicateFrames.increment();
      case DISCARDED -> discardedFrames.increment();
      case HELD -> {}
    }
  }

  TransportCounters snapshot() {
    return new TransportCounters(
        batchesSent.sum(),
        batchesReceived.sum(),
        bytesSent.sum(),
        bytesReceived.sum(),
        backPressured.sum(),
        malformedFrames.sum(),
        duplicateFrames.sum(),
        foreignFrames.sum(),
        corruptFrames.sum(),
        refusedBatches.sum(),
        abandonedBatches.sum());
  }
}
