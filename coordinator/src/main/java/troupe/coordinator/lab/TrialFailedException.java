package troupe.coordinator.lab;

/** A training that did not come to its end. */
final class TrialFailedException extends Exception {
  private static final long serialVersionUID = 1;

  TrialFailedException(String message, Throwable cause) {
    super(message, cause);
  }
}
