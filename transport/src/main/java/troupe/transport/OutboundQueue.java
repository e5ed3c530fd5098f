package troupe.transport;

import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.agrona.concurrent.ManyToManyConcurrentArrayQueue;
import troupe.transport.Transport.Offer;

/**
 * What waits to be sent to one node: bounded by batches and by bytes, many threads put in, each
 * strand takes out. Once {@link #close} returns, nothing more gets in, so that whoever empties it
 * then releases every batch.
 */
final class OutboundQueue {
  private final ManyToManyConcurrentArrayQueue<Outbound> batches;
  private final TransportSettings.Outbound bounds;
  private final AtomicInteger numBatches = new AtomicInteger();
  private final AtomicLong numBytes = new AtomicLong();
  private final AtomicInteger offering = new AtomicInteger();
  private volatile boolean closed;

  OutboundQueue(TransportSettings.Outbound bounds) {
    this.bounds = bounds;
    this.batches = new ManyToManyConcurrentArrayQueue<>(Math.max(2, bounds.batches()));
  }

  /** Takes a batch over unless the queue is full or closed. */
  Offer offer(Outbound batch) {
    offering.incrementAndGet();
    try {
      if (closed) {
        return Offer.CLOSED;
      }
      return reserve(batch) ? add(batch) : Offer.BACK_PRESSURED;
    } finally {
      offering.decrementAndGet();
    }
  }

  /** The next batch, or {@code null}. It stays accounted for until {@link #done}. */
  Outbound poll() {
    return batches.poll();
  }

  /** A polled batch is sent or given up: its place is free. */
  void done(Outbound batch) {
    numBytes.addAndGet(-batch.bytes());
    numBatches.decrementAndGet();
  }

  /** Counts a batch that is {@link #done} once more: it is sent in another way. */
  void again(Outbound batch) {
    numBatches.incrementAndGet();
    numBytes.addAndGet(batch.bytes());
  }

  boolean isEmpty() {
    return numBatches.get() == 0;
  }

  /** Bytes accepted and not yet {@link #done}. */
  long bytes() {
    return numBytes.get();
  }

  /** Waits for offers in progress, which never block, and lets no other in. */
  void close() {
    closed = true;
    while (offering.get() != 0) {
      Thread.onSpinWait();
    }
  }

  private boolean reserve(Outbound batch) {
    if (numBatches.incrementAndGet() > bounds.batches()) {
      numBatches.decrementAndGet();
      return false;
    }
    long bytes = numBytes.addAndGet(batch.bytes());
    // The first into an empty queue passes whatever its size, or it never could.
    if (bytes > bounds.bytes() && bytes != batch.bytes()) {
      numBytes.addAndGet(-batch.bytes());
      numBatches.decrementAndGet();
      return false;
    }
    return true;
  }

  private Offer add(Outbound batch) {
    if (batches.offer(batch)) {
      return Offer.ACCEPTED;
    }
    done(batch);
    return Offer.BACK_PRESSURED;
  }
}
