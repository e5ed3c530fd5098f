package troupe.core;

import java.util.Objects;

/**
 * A mistake of the user, not of the program: told without a stack trace, with a way out. The
 * message says what was found and what was expected; the hint names the command or key that fixes
 * it.
 */
public final class UserException extends RuntimeException {
  private final String hint;

  public UserException(String message, String hint) {
    this(message, hint, null);
  }

  public UserException(String message, String hint, Throwable cause) {
    super(Objects.requireNonNull(message, "message"), cause);
    this.hint = Objects.requireNonNull(hint, "hint");
  }

  /** What to do about it, in one line. */
  public String hint() {
    return hint;
  }
}
