package troupe.transport;

import java.util.concurrent.atomic.LongAdder;

/** The batches of one way, counted while they pass. */
final class LiveTraffic {
  private final LongAdder batchesSent = new LongAdder();
  private final LongAdder bytesSent = new LongAdder();
  private final LongAdder batchesReceived = new LongAdder();
  private final LongAdder bytesReceived = new LongAdder();

  void sent(long bytes) {
    batchesSent.increment();
    bytesSent.add(bytes);
  }

  void received(long bytes) {
    batchesReceived.increment();
    bytesReceived.add(bytes);
  }

  TransportCounters.Traffic snapshot() {
    return new TransportCounters.Traffic(
        batchesSent.sum(), bytesSent.sum(), batchesReceived.sum(), bytesReceived.sum());
  }
}
