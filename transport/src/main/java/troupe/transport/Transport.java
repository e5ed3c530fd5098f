package troupe.transport;

/** Sends whole batches to nodes. One interface, several {@linkplain Way ways}. */
public interface Transport extends AutoCloseable {
  /** What became of an offer. */
  enum Offer {
    /** Taken over; the payload is released once it is copied or consumed. */
    ACCEPTED,
    /** The queue to that node is full; the caller still owns the payload and tries again later. */
    BACK_PRESSURED,
    /** No connection to that node (yet); the caller still owns the payload. */
    NOT_CONNECTED,
    /** The transport is closed; the caller still owns the payload. */
    CLOSED
  }

  /** Offers a batch to a node without blocking. Safe to call from several threads at once. */
  Offer offer(int node, BatchHeader header, Payload payload);

  /**
   * Sends and receives on the calling thread what would otherwise be left to a thread of the
   * transport. Never waits; any number of threads may call it at any time. Who calls it once is
   * taken for one who calls it often, at least after each time that it offers.
   *
   * @return whether anything was sent or received
   */
  default boolean progress() {
    return false;
  }

  /** A new placement epoch: what is on its way from another one is dropped and counted. */
  void setEpoch(int epoch);

  /** What was sent, received, refused and why. */
  TransportCounters counters();

  /** Stops threads, releases what is queued and gives back memory and directories. */
  @Override
  void close();
}
