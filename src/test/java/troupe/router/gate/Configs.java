package troupe.router.gate;

import java.util.List;
import troupe.core.config.ConfigLoader;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.JitterOn;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;

/** Gates as a config would describe them. */
final class Configs {
  private Configs() {}

  static GateConfig config(GateType type, double jitter, JitterOn on, Mask mask) {
    return GateConfig.topOne(type, true, jitter, on, mask);
  }

  static Gate gate(GateType type, double jitter, Mask mask) {
    return Gates.of(config(type, jitter, JitterOn.LOGITS, mask));
  }

  /** The gate of a config with these keys, apart by spaces. */
  static Gate parsed(String overrides) {
    return Gates.of(ConfigLoader.parse("", List.of(overrides.split(" "))).gate());
  }

  /** The gate that the authors call by this name. */
  static Gate authors(String router, double jitter) {
    GateType type =
        switch (router) {
          case "SwitchGate" -> GateType.SWITCH;
          case "SparseMixer" -> GateType.SPARSEMIXER;
          case "SparseMixerFirst" -> GateType.SPARSEMIXER_1ST;
          case "SparseMixerInf" -> GateType.SPARSEMIXER_INF;
          default -> throw new IllegalArgumentException("router: " + router);
        };
    return gate(type, jitter, Mask.CODE);
  }
}
