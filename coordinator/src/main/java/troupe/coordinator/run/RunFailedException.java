package troupe.coordinator.run;

import troupe.coordinator.events.Outcome;

/** A run could not go on: told like a user's mistake, but it is none. */
public final class RunFailedException extends RuntimeException {
  private static final long serialVersionUID = 1;

  private final String hint;

  /** The failure that ended the run. */
  public RunFailedException(Outcome.Failed failed) {
    super(failed.message());
    this.hint = failed.hint();
  }

  /** What to do about it, in one line. */
  public String hint() {
    return hint;
  }
}
