package troupe.transport;

import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import troupe.Eventually;

/** Keeps every batch that arrives, and every payload that it allocated. */
final class RecordingReceiver implements BatchReceiver {
  /** A batch that arrived. */
  record Arrival(BatchHeader header, Payload payload) {}

  private final Function<BatchHeader, CountedPayload> allocator;
  private final BlockingQueue<Arrival> arrivals = new LinkedBlockingQueue<>();
  private final List<CountedPayload> allocated = new CopyOnWriteArrayList<>();

  RecordingReceiver() {
    this(header -> new CountedPayload(header.payloadBytes()));
  }

  RecordingReceiver(Function<BatchHeader, CountedPayload> allocator) {
    this.allocator = allocator;
  }

  @Override
  public Payload allocate(BatchHeader header) {
    CountedPayload payload = allocator.apply(header);
    if (payload != null) {
      allocated.add(payload);
    }
    return payload;
  }

  @Override
  public void onBatch(BatchHeader header, Payload payload) {
    arrivals.add(new Arrival(header, payload));
  }

  /** The next batch, waiting for it. */
  Arrival take() {
    try {
      Arrival arrival = arrivals.poll(Eventually.TIMEOUT.toNanos(), TimeUnit.NANOSECONDS);
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

  List<CountedPayload> allocated() {
    return allocated;
  }
}
