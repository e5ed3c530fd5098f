package troupe.coordinator.simulate;

import java.util.Locale;

/** Numbers as people call them. */
final class Names {
  private Names() {}

  /** A capacity factor. */
  static String ofFactor(double factor) {
    return factor == 0
        ? "dropless"
        : String.format(Locale.ROOT, "%.4g", factor)
            .replaceFirst("(\\.\\d*?)0+$", "$1")
            .replaceFirst("\\.$", "");
  }
}
