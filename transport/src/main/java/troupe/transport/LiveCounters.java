package troupe.transport;

import java.util.concurrent.atomic.LongAdder;

/** The counters of a transport while it runs. */
final class LiveCounters {
  private final LiveTraffic handOff = new LiveTraffic();
  private final LiveTraffic peerCopy = new LiveTraffic();
  private final LiveTraffic pickUp = new LiveTraffic();
  private final LiveTraffic ipc = new LiveTraffic();
  private final LiveTraffic udp = new LiveTraffic();
  final LongAdder backPressured = new LongAdder();
  final LongAdder acceptedFrames = new LongAdder();
  final LongAdder malformedFrames = new LongAdder();
  final LongAdder corruptFrames = new LongAdder();
  final LongAdder foreignFrames = new LongAdder();
  final LongAdder duplicateFrames = new LongAdder();
  final LongAdder discardedFrames = new LongAdder();
  final LongAdder refusedBatches = new LongAdder();
  final LongAdder abandonedBatches = new LongAdder();

  final LongAdder busyNs = new LongAdder();
  final LongAdder driverBusyNs = new LongAdder();

  /** The batches of a way. */
  LiveTraffic of(Way way) {
    return switch (way) {
      case HAND_OFF -> handOff;
      case PEER_COPY -> peerCopy;
      case PICK_UP -> pickUp;
      case IPC -> ipc;
      case UDP -> udp;
    };
  }

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

  TransportCounters snapshot(long naksSent, long naksReceived) {
    return new TransportCounters(
        handOff.snapshot(),
        peerCopy.snapshot(),
        pickUp.snapshot(),
        ipc.snapshot(),
        udp.snapshot(),
        backPressured.sum(),
        malformedFrames.sum(),
        duplicateFrames.sum(),
        foreignFrames.sum(),
        corruptFrames.sum(),
        refusedBatches.sum(),
        abandonedBatches.sum(),
        naksSent,
        naksReceived,
        busyNs.sum(),
        driverBusyNs.sum());
  }
}
