package troupe.core;

/**
 * A mistake that the user can correct: a wrong value in a config, an empty file, a run that exists
 * already. The command line prints the message and the hint, never a stack trace, and exits with 2.
 */
public final class UserException extends RuntimeException {
  private final String hint;

  /**
   * @param message what was found and what was expected, {@code value: X (expected: Y)}
   * @param hint the command or key that puts it right
   */
  public UserException(String message, String hint) {
    this(message, hint, null);
  }

  /**
   * @param message what was found and what was expected, {@code value: X (expected: Y)}
   * @param hint the command or key that puts it right
   * @param cause what noticed it
   */
  public UserException(String message, String hint, Throwable cause) {
    super(message, cause);
    this.hint = hint;
  }

  /** The command or key that puts it right. */
  public String hint() {
    return hint;
  }
}
