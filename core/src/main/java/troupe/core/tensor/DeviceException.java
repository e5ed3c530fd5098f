package troupe.core.tensor;

/** A device that could not do what it was asked to, or what it was asked to earlier. */
public abstract class DeviceException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** What starts the second line of a message that says what to do. */
  private static final String HINT = "\nHINT: ";

  /**
   * A failure.
   *
   * @param message one line, or two of which the second is {@code HINT: } and what to do
   */
  protected DeviceException(String message) {
    super(message);
  }

  /** Whether the device computes nothing any more: it is no use to try again. */
  public abstract boolean isLost();

  /** What went wrong, in one line. */
  public String line() {
    return getMessage().split(HINT, 2)[0];
  }

  /** What to do about it, in one line; empty if nobody knows. */
  public String hint() {
    String[] parts = getMessage().split(HINT, 2);
    return parts.length == 2 ? parts[1] : "";
  }

  /** A message of both. */
  protected static String message(String line, String hint) {
    return line + HINT + hint;
  }
}
