package troupe.transport;

import java.lang.foreign.MemorySegment;

/**
 * The rows of a batch. Whoever holds a payload last calls {@link #release} once; a sender that only
 * lends its memory makes that a no-op or a count.
 */
public interface Payload {
  /**
   * Says that a transport will ask for the rows. Where they are elsewhere they set out; called by
   * whoever offers, perhaps more than once, and waits for nothing. What it throws is not heard: it
   * has to show when they are asked for.
   *
   * @param nearby whether a process of this machine is to have them, which may be able to copy them
   *     from where they are
   */
  default void prepare(boolean nearby) {}

  /**
   * Whether {@link #bytes} does not wait, or {@link #reference} says where they are. Asked again
   * and again of rows that are on their way, so whoever knows that they will not come throws.
   */
  default boolean isReady() {
    return true;
  }

  /** The rows, native byte order. */
  MemorySegment bytes();

  /**
   * Where a process of this machine finds the rows, until this is {@linkplain #release released}; a
   * few bytes that mean something to its {@link BatchReceiver#pickUp}. {@code null} if they have to
   * be sent.
   */
  default byte[] reference() {
    return null;
  }

  /**
   * Whether {@link #reference} also says when the rows will be there, so that it may be told before
   * {@link #isReady}.
   */
  default boolean tellsWhenReady() {
    return false;
  }

  /** How many bytes {@link #bytes} has; does not fetch them from where they are. */
  default long byteSize() {
    return bytes().byteSize();
  }

  /** The holder is done with it. */
  void release();
}
