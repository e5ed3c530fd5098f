package troupe.transport;

/**
 * Where batches arrive. All methods run on threads of the transport, perhaps on several at once,
 * and must not block.
 */
public interface BatchReceiver {
  /**
   * Memory for the rows of a batch that begins to arrive in frames, of exactly {@link
   * BatchHeader#payloadBytes} bytes, or {@code null} to refuse it (another run or epoch, an
   * impossible size): the transport then counts and drops its frames.
   */
  Payload allocate(BatchHeader header);

  /**
   * Begins to copy the rows of a batch from where another process of this machine lends them.
   * {@code null} refuses the batch, as {@link #allocate} does; {@link PickUp#OUT_OF_REACH} has the
   * rows sent, and all later ones of that node; so does an exception.
   *
   * @param node the lender
   * @param reference from its {@link Payload#reference}
   */
  default PickUp pickUp(int node, BatchHeader header, byte[] reference) {
    return PickUp.OUT_OF_REACH;
  }

  /** A node is gone, or has no say any more: nothing that it lends is looked at again. */
  default void forget(int node) {}

  /**
   * Whether a payload that is about to be handed over will be copied, to another device of this
   * process, instead of being used where it is.
   */
  default boolean isForAnotherDevice(BatchHeader header, Payload payload) {
    return false;
  }

  /** A whole batch; the receiver owns the payload now. */
  void onBatch(BatchHeader header, Payload payload);
}
