package troupe.transport;

/**
 * What a transport tells besides batches. Called on its own threads, perhaps on several at once:
 * must not block. Nothing is lost silently: an accepted batch arrives, or is named here, or was on
 * its way to a node that is named here as disconnected.
 */
public interface TransportEvents {
  /** Hears nothing. */
  TransportEvents NONE = new TransportEvents() {};

  /** Why an accepted batch was not sent. */
  enum Undelivered {
    /**
     * The node could not be reached for {@link TransportSettings#connectTimeout}, or its process
     * has ended.
     */
    NOT_CONNECTED,
    /** The node was removed from the peers. */
    PEER_REMOVED,
    /** A newer epoch began before it was sent. */
    OLD_EPOCH,
    /** Its memory could not be read; {@link #onError} says why. */
    UNREADABLE,
    /** The transport was closed. */
    CLOSED
  }

  /** Batches to this node now flow. */
  default void onConnected(int node) {}

  /**
   * The connection was lost; batches sent to this node in the last seconds may not have arrived.
   */
  default void onDisconnected(int node) {}

  /** An accepted batch will not be sent, or not to its end. Its payload has been released. */
  default void onUndelivered(int node, BatchHeader header, Undelivered reason) {}

  /**
   * A node of this machine cannot copy rows from where this one holds them: from now on they are
   * sent.
   */
  default void onOutOfReach(int node) {}

  /** A batch began to arrive and will not be completed. Its payload has been released. */
  default void onAbandoned(BatchHeader header) {}

  /** Something failed that should not: a receiver that throws, a driver that reports an error. */
  default void onError(Throwable error) {}
}
