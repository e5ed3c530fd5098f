package troupe.transport;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import troupe.Eventually;

/** Copies {@link ShelvedPayload}s, and keeps every batch that arrives. */
final class PickingReceiver implements BatchReceiver {
  private final BlockingQueue<RecordingReceiver.Arrival> arrivals = new LinkedBlockingQueue<>();
  private final List<Integer> forgotten = new CopyOnWriteArrayList<>();
  private final AtomicInteger abandoned = new AtomicInteger();
  private volatile boolean isCopying;
  private volatile boolean isOutOfReach;
  private volatile boolean isRefusing;

  /** Whether copies stay under way. */
  void isCopying(boolean on) {
    isCopying = on;
  }

  void isOutOfReach(boolean on) {
    isOutOfReach = on;
  }

  void isRefusing(boolean on) {
    isRefusing = on;
  }

  @Override
  public Payload allocate(BatchHeader header) {
    return new CountedPayload(header.payloadBytes());
  }

  @Override
  public PickUp pickUp(int node, BatchHeader header, byte[] reference) {
    if (isRefusing) {
      return null;
    }
    return isOutOfReach
        ? PickUp.OUT_OF_REACH
        : new PickUp(ShelvedPayload.read(reference), () -> !isCopying, abandoned::incrementAndGet);
  }

  @Override
  public void forget(int node) {
    forgotten.add(node);
  }

  /** How often a copy was abandoned. */
  int numAbandoned() {
    return abandoned.get();
  }

  List<Integer> forgotten() {
    return forgotten;
  }

  @Override
  public void onBatch(BatchHeader header, Payload payload) {
    arrivals.add(new RecordingReceiver.Arrival(header, payload));
  }

  /** The next batch, waiting for it. */
  RecordingReceiver.Arrival take() {
    try {
      RecordingReceiver.Arrival arrival =
          arrivals.poll(Eventually.TIMEOUT.toNanos(), TimeUnit.NANOSECONDS);
      if (arrival == null) {
        throw new AssertionError("no batch arrived within " + Eventually.TIMEOUT);
      }
      return arrival;
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
  }

  int numArrived() {
    return arrivals.size();
  }
}
