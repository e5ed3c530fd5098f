package troupe.core;

import java.util.Objects;

/**
 * A mistake of the user that ends the program: what is wrong in one line, and what to do about it.
 * The command line prints the message, then {@code HINT: } and the hint, and exits with code 2.
 */
public final class UserException extends RuntimeException {
  private final String hint;

  /**
   * @param message what is wrong, as {@code value: X (expected: Y)}
   * @param hint the command or key that fixes it
   */
  public UserException(String message, String hint) {
    this(message, hint, null);
  }

  /**
   * @param message what is wrong, as {@code value: X (expected: Y)}
   * @param hint the command or key that fixes it
   * @param cause what was thrown underneath, or null
   */
  public UserException(String message, String hint, Throwable cause) {
    super(message, cause);
    this.hint = Objects.requireNonNull(hint, "hint");
  }

  /** The command or key that fixes it. */
  public String hint() {
    return hint;
  }
}
