package troupe.transport;

import troupe.transport.TransportEvents.Undelivered;

/**
 * Hands batches over within one JVM: the receiver gets the very payload that was offered, on the
 * thread that offered it. Nothing is copied here and nothing waits.
 */
public final class InProcessTransport implements Transport {
  private final int node;
  private final BatchReceiver receiver;
  private final TransportEvents events;
  private final LiveCounters counters;
  private volatile int epoch = Integer.MIN_VALUE;
  private volatile boolean closed;

  /**
   * A transport whose only node is this one.
   *
   * @param node this node
   * @param receiver gets what is offered
   */
  public InProcessTransport(int node, BatchReceiver receiver) {
    this(node, receiver, TransportEvents.NONE, new LiveCounters());
  }

  InProcessTransport(
      int node, BatchReceiver receiver, TransportEvents events, LiveCounters counters) {
    this.node = node;
    this.receiver = receiver;
    this.events = events;
    this.counters = counters;
  }

  /**
   * {@inheritDoc}
   *
   * <p>What {@link BatchReceiver#onBatch} throws reaches the caller; the payload is the receiver's
   * by then.
   *
   * @throws IllegalArgumentException if the payload is not as long as the header says
   */
  @Override
  public Offer offer(int toNode, BatchHeader header, Payload payload) {
    long length = PayloadLength.check(header, payload);
    if (closed) {
      return Offer.CLOSED;
    }
    if (toNode != node) {
      return Offer.NOT_CONNECTED;
    }
    if (header.epoch() < epoch) {
      payload.release();
      events.onUndelivered(node, header, Undelivered.OLD_EPOCH);
      return Offer.ACCEPTED;
    }
    LiveTraffic traffic =
        counters.of(receiver.isForAnotherDevice(header, payload) ? Way.PEER_COPY : Way.HAND_OFF);
    traffic.sent(length);
    traffic.received(length);
    receiver.onBatch(header, payload);
    return Offer.ACCEPTED;
  }

  /**
   * {@inheritDoc} A hand-off leaves nothing on its way; what is offered from now on by someone who
   * has not heard of the epoch is released. Never goes back.
   */
  @Override
  public synchronized void setEpoch(int newEpoch) {
    epoch = Math.max(epoch, newEpoch);
  }

  @Override
  public TransportCounters counters() {
    return counters.snapshot(0, 0);
  }

  @Override
  public void close() {
    closed = true;
  }
}
