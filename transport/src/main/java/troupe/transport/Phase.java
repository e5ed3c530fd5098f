package troupe.transport;

/** What a batch is. The code travels in frames and never changes meaning. */
public enum Phase {
  /** Router to expert: token rows to compute and keep for backward. */
  FORWARD(1),
  /** Expert to router: the output rows of a {@link #FORWARD} or {@link #EVALUATE} batch. */
  OUTPUT(2),
  /** Router to expert: gradients of the output rows. */
  BACKWARD(3),
  /** Expert to router: gradients of the input rows. */
  INPUT_GRADIENT(4),
  /** Router to expert: token rows to compute and forget. */
  EVALUATE(5),
  /** Router to router: a segment of trunk gradients for the rank that owns it. */
  TRUNK_GRADIENT(6),
  /** Router to router: an updated slice of trunk parameters from the rank that owns it. */
  TRUNK_PARAMETERS(7),
  /** Node to node: part of a shard of the state that the receiver keeps for the sender. */
  REPLICA(8),
  /** Node to node: part of a shard of the state that the receiver asked for. */
  RESTORE(9),
  /** Node to node: part of a shard of the state for the disk. */
  CHECKPOINT(10);

  private static final Phase[] VALUES = values();

  private final int code;

  Phase(int code) {
    this.code = code;
  }

  /**
   * Whether what comes of the rows counts only once their receiver has said in the same epoch that
   * it is done with them, as a gradient does: a step is decided when all have theirs. So rows of a
   * sender that is killed before they are whole do no harm. Parameters of a committed step do.
   */
  boolean isProvisional() {
    return switch (this) {
      case FORWARD, OUTPUT, BACKWARD, INPUT_GRADIENT, EVALUATE, TRUNK_GRADIENT -> true;
      case TRUNK_PARAMETERS, REPLICA, RESTORE, CHECKPOINT -> false;
    };
  }

  /** The code of this phase in frames. */
  public int code() {
    return code;
  }

  /** The phase with this code, or {@code null}. */
  public static Phase of(int code) {
    return code >= 1 && code <= VALUES.length ? VALUES[code - 1] : null;
  }
}
