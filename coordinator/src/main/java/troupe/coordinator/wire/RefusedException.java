package troupe.coordinator.wire;

import java.util.regex.Pattern;

/**
 * A control message that does not travel: it is dropped, and nothing else happens. The message is
 * one line that says what was found, what was expected and what to do. It has no stack trace, for
 * whoever sends nonsense must not fill the log.
 */
public final class RefusedException extends RuntimeException {
  private static final long serialVersionUID = 1;
  private static final String PREFIX = "control message refused: ";
  private static final Pattern UNPRINTABLE = Pattern.compile("[^\\x20-\\x7e]");

  private RefusedException(String line, Throwable cause) {
    super(line, cause, false, false);
  }

  /** Something about a message is not as it has to be. */
  static RefusedException of(String found, String expected, String hint) {
    return new RefusedException(
        PREFIX + oneLine(found) + " (expected: " + expected + "). HINT: " + hint, null);
  }

  /** The bytes of a message cannot be read. */
  static RefusedException malformed(String found, String expected) {
    return of(
        found, expected, "all nodes have to run the same build; a foreign sender can be ignored");
  }

  /** What is known of a message, and why it was refused. */
  RefusedException about(String subject) {
    return new RefusedException(
        PREFIX + oneLine(subject) + ": " + getMessage().substring(PREFIX.length()), getCause());
  }

  /** Text of a sender must not forge lines of the log, nor flood it. */
  private static String oneLine(String text) {
    String clean = UNPRINTABLE.matcher(text).replaceAll("?");
    return clean.length() <= 200 ? clean : clean.substring(0, 200) + "...";
  }
}
