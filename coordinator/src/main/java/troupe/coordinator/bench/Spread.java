package troupe.coordinator.bench;

import java.util.Locale;

/** How the same training is spread over processes. */
public enum Spread {
  /** All in one process, as {@code troupe train} does it. */
  ONE,

  /** On several nodes, of which none keeps copies of another's state. */
  MANY,

  /** On several nodes, with copies. */
  COPIES;

  /** What people call it. */
  public String word() {
    return name().toLowerCase(Locale.ROOT);
  }
}
