package troupe.coordinator.run;

import troupe.coordinator.events.Outcome;

/** A run could not go on: told like a user's mistake, which it may be. */
public final class RunFailedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String hint;
  private final boolean isMistake;

  /** The failure that ended the run. */
  public RunFailedException(Outcome.Failed failed) {
    super(failed.message());
    this.hint = failed.hint();
    this.isMistake = failed.isMistake();
  }

  /** What to do about it, in one line. */
  public String hint() {
    return hint;
  }

  /** Whether the user has to correct something. */
  public boolean isMistake() {
    return isMistake;
  }
}
