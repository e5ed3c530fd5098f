package troupe.coordinator.events;

/** How a run ended. */
public sealed interface Outcome {
  /** All tasks are done; {@code step} is the last committed one. */
  record Completed(long step) implements Outcome {}

  /** Asked to stop; {@code step} is the last committed one. */
  record Stopped(long step) implements Outcome {}

  /**
   * It could not go on.
   *
   * @param step the last committed step
   * @param message what went wrong, in one line
   * @param hint what to do about it
   * @param isMistake whether the user has to correct something
   */
  record Failed(long step, String message, String hint, boolean isMistake) implements Outcome {
    /** A failure that is nobody's mistake. */
    public Failed(long step, String message, String hint) {
      this(step, message, hint, false);
    }
  }
}
