package troupe.transport;

/**
 * What became of a frame. Every frame that is not {@link #HELD} is counted once, under its verdict.
 */
enum Verdict {
  /** Its chunk is where it belongs. */
  ACCEPTED,
  /** Not a frame, or its fields contradict each other. */
  MALFORMED,
  /** Its checksum does not match. */
  CORRUPT,
  /** Of another run or an older epoch. */
  FOREIGN,
  /** Its chunk, or its whole batch, had already arrived. */
  DUPLICATE,
  /** Part of a batch that was refused or abandoned. */
  DISCARDED,
  /** Not taken now: too many batches are incomplete. The same frame must be shown again. */
  HELD
}
