package troupe.transport;

import java.util.concurrent.atomic.LongAdder;

/**
 * Hands batches over within one JVM: the receiver gets the very payload that was offered, on the
 * thread that offered it. Nothing is copied and nothing waits.
 */
public final class InProcessTransport implements Transport {
  private final int node;
  private final BatchReceiver receiver;
  private final LongAdder batches = new LongAdder();
  private final LongAdder bytes = new LongAdder();
  private volatile boolean closed;

  /**
   * A transport whose only node is this one.
   *
   * @param node this node
   * @param receiver gets what is offered
   */
  public InProcessTransport(int node, BatchReceiver receiver) {
    this.node = node;
    this.receiver = receiver;
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
    batches.increment();
    bytes.add(length);
    receiver.onBatch(header, payload);
    return Offer.ACCEPTED;
  }

  /** {@inheritDoc} A hand-off leaves nothing on its way, so there is nothing to drop. */
  @Override
  public void setEpoch(int epoch) {}

  @Override
  public TransportCounters counters() {
    long numBatches = batches.sum();
    long numBytes = bytes.sum();
    return new TransportCounters(numBatches, numBatches, numBytes, numBytes, 0, 0, 0, 0, 0, 0, 0);
  }

  @Override
  public void close() {
    closed = true;
  }
}
