package troupe.transport;

/** A node to which batches can be offered: the side of it that any thread may touch. */
final class Peer {
  private final int node;
  private final Endpoint endpoint;
  private final Route route;
  private final OutboundQueue queue;
  private volatile boolean picksUp;
  private volatile boolean connected;
  private volatile boolean removed;

  /**
   * A node that is not connected yet.
   *
   * @param picksUp whether it may be able to copy rows from where they are
   */
  Peer(Endpoint endpoint, Route route, boolean picksUp, TransportSettings.Outbound bounds) {
    this.node = endpoint.node();
    this.endpoint = endpoint;
    this.route = route;
    this.picksUp = picksUp;
    this.queue = new OutboundQueue(bounds);
  }

  int node() {
    return node;
  }

  /** Where the node said that it listens. */
  Endpoint endpoint() {
    return endpoint;
  }

  /** How its batches get there. */
  Route route() {
    return route;
  }

  OutboundQueue queue() {
    return queue;
  }

  /** Whether it may be able to copy rows from where they are. */
  boolean picksUp() {
    return picksUp;
  }

  /** It cannot: rows have to be sent. */
  void cannotPickUp() {
    picksUp = false;
  }

  /** What the sending thread saw last. */
  boolean isConnected() {
    return connected;
  }

  void connected(boolean isConnected) {
    connected = isConnected;
  }

  /** Accepts nothing more; the sending thread gives back what waits. */
  void remove() {
    queue.close();
    removed = true;
  }

  boolean isRemoved() {
    return removed;
  }
}
