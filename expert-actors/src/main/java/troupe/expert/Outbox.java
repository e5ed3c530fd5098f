package troupe.expert;

import java.util.ArrayDeque;
import troupe.transport.BatchHeader;
import troupe.transport.Payload;
import troupe.transport.Transport;

/**
 * Batches that an actor wants to send. What the transport refuses for now waits here, in order; it
 * is bounded because an actor has a bounded number of batches in a step.
 */
public final class Outbox implements AutoCloseable {
  private record Waiting(int node, BatchHeader header, Payload payload) {}

  private final Transport transport;
  private final ArrayDeque<Waiting> waiting = new ArrayDeque<>();

  /** An empty outbox. */
  public Outbox(Transport transport) {
    this.transport = transport;
  }

  /**
   * Sends a batch, or keeps it for {@link #flush}.
   *
   * @return whether nothing waits
   */
  public boolean send(int node, BatchHeader header, Payload payload) {
    waiting.addLast(new Waiting(node, header, payload));
    return flush();
  }

  /**
   * Offers what waits, in order, until the transport refuses.
   *
   * @return whether nothing waits any more
   */
  public boolean flush() {
    while (!waiting.isEmpty()) {
      Waiting first = waiting.peekFirst();
      switch (transport.offer(first.node(), first.header(), first.payload())) {
        case ACCEPTED -> waiting.removeFirst();
        case BACK_PRESSURED, NOT_CONNECTED -> {
          return false;
        }
        case CLOSED -> close(); // The run is over: nobody waits for these.
      }
    }
    return true;
  }

  /** Forgets what waits. */
  @Override
  public void close() {
    waiting.forEach(batch -> batch.payload().release());
    waiting.clear();
  }
}
