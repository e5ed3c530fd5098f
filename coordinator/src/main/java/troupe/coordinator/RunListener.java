package troupe.coordinator;

/**
 * Told what happens in a run, in order, on the coordinator's thread; each call holds up the next
 * step, so it must be quick.
 */
public interface RunListener {
  /** A step is committed. */
  default void committed(StepReport report) {}

  /** A validation is done: mean cross entropy in nats a token. */
  default void evaluated(long step, double loss, long tokens) {}

  /** A text was generated: the prompt's tokens and what follows. */
  default void generated(int[] tokens) {}

  /** Something a user wants to know: a restart, a late answer, a skipped checkpoint. One line. */
  default void notice(String line) {}

  /** The run is over. Called once, last. */
  void finished(Outcome outcome);
}
