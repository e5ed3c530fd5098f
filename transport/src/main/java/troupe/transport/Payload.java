package troupe.transport;

import java.lang.foreign.MemorySegment;

/**
 * The rows of a batch. Whoever holds a payload last calls {@link #release} once; a sender that only
 * lends its memory makes that a no-op or a count.
 */
public interface Payload {
  /** The rows, native byte order. */
  MemorySegment bytes();

  /** How many bytes {@link #bytes} has; does not fetch them from where they are. */
  default long byteSize() {
    return bytes().byteSize();
  }

  /** The holder is done with it. */
  void release();
}
