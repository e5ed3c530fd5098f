package troupe.expert;

import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import troupe.expert.network.TensorPayload;
import troupe.transport.BatchHeader;
import troupe.transport.Payload;
import troupe.transport.Transport;
import troupe.transport.TransportCounters;

/** Keeps what it is offered, for tests to look at; refuses as often as told. */
public final class RecordingTransport implements Transport {
  private static final long TIMEOUT_SECONDS = 10;

  /** A batch that was accepted. */
  public record Sent(int node, BatchHeader header, TensorPayload payload) {
    /** The elements. */
    public double[] values() {
      return payload.tensor().toDoubles();
    }
  }

  private final BlockingQueue<Sent> sent = new LinkedBlockingQueue<>();
  private final AtomicInteger refusals = new AtomicInteger();
  private final AtomicInteger refused = new AtomicInteger();

  /** Refuses the next {@code count} offers. */
  public void refuse(int count) {
    refusals.set(count);
  }

  /** How often it has refused. */
  public int refused() {
    return refused.get();
  }

  @Override
  public Offer offer(int node, BatchHeader header, Payload payload) {
    if (refusals.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
      refused.incrementAndGet();
      return Offer.BACK_PRESSURED;
    }
    sent.add(new Sent(node, header, (TensorPayload) payload));
    return Offer.ACCEPTED;
  }

  /** Waits for the next batch. */
  public Sent next() throws InterruptedException {
    Sent next = sent.poll(TIMEOUT_SECONDS, TimeUnit.SECONDS);
    if (next == null) {
      throw new AssertionError("nothing was sent within " + TIMEOUT_SECONDS + " s");
    }
    return next;
  }

  /** Batches that nobody has looked at. */
  public int waiting() {
    return sent.size();
  }

  @Override
  public void setEpoch(int epoch) {}

  @Override
  public TransportCounters counters() {
    return TransportCounters.NONE;
  }

  @Override
  public void close() {}
}
