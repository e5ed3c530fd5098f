package troupe.transport;

/** A node to which batches can be offered: the side of it that any thread may touch. */
final class Peer {
  private final int node;
  private final String channel;
  private final OutboundQueue queue;
  private volatile boolean connected;
  private volatile boolean removed;

  Peer(int node, String channel, AeronSettings.Outbound bounds) {
    this.node = node;
    this.channel = channel;
    this.queue = new OutboundQueue(bounds);
  }

  int node() {
    return node;
  }

  /** The channel on which the node listens. */
  String channel() {
    return channel;
  }

  OutboundQueue queue() {
    return queue;
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
