package troupe.coordinator.simulate;

import java.util.Locale;
import troupe.core.config.RunConfig.GateType;

/** Names as a config has them. */
final class Names {
  private Names() {}

  static String of(GateType type) {
    return type.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** A capacity factor. */
  static String ofFactor(double factor) {
    return factor == 0
        ? "dropless"
        : String.format(Locale.ROOT, "%.4g", factor)
            .replaceFirst("(\\.\\d*?)0+$", "$1")
            .replaceFirst("\\.$", "");
  }
}
