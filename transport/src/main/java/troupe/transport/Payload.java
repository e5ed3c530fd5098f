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
   */
  default void prepare() {}

  /**
   * Whether {@link #bytes} does not wait. Asked again and again of rows that are on their way, so
   * whoever knows that they will not come throws.
   */
  default boolean isReady() {
    return true;
  }

  /** The rows, native byte order. */
  MemorySegment bytes();

  /** How many bytes {@link #bytes} has; does not fetch them from where they are. */
  default long byteSize() {
    return bytes().byteSize();
  }

  /** The holder is done with it. */
  void release();
}
