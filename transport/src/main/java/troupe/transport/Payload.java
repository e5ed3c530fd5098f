package troupe.transport;

import java.lang.foreign.MemorySegment;

/**
 * The rows of a batch. Whoever holds a payload last calls {@link #release} once; a sender that only
 * lends its memory makes that a no-op or a count.
 */
public interface Payload {
  /** The rows, native byte order. */
  MemorySegment bytes();

  /** The holder is done with it. */
  void release();
}
