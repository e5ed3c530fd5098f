package troupe.core.config;

import java.util.ArrayList;
import java.util.List;

/** Collects what is wrong with the values of one section, so that all of it is reported at once. */
final class Expect {
  private final String prefix;
  private final List<String> violations = new ArrayList<>();

  /** Keys are reported under {@code section}; the empty name stands for the root. */
  Expect(String section) {
    prefix = section.isEmpty() ? "" : section + ".";
  }

  Expect that(boolean holds, String key, Object found, String expected) {
    if (!holds) {
      violations.add(violation(prefix + key, found, expected));
    }
    return this;
  }

  /**
   * Throws an {@link IllegalArgumentException} with one line for each violation, if there are any.
   */
  void orThrow() {
    if (!violations.isEmpty()) {
      throw new IllegalArgumentException(String.join("\n", violations));
    }
  }

  /** The one form of a wrong value: {@code key: found (expected: what)}. */
  static String violation(String key, Object found, String expected) {
    Object shown = found instanceof String text ? '"' + text + '"' : found;
    return key + ": " + shown + " (expected: " + expected + ")";
  }
}
