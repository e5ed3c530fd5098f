package troupe.coordinator.lab;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;

/**
 * One of the things that an experiment compares.
 *
 * @param name what people call it
 * @param overrides what differs from the config of the experiment, each {@code KEY=VALUE}
 */
record Arm(String name, List<String> overrides) {
  Arm {
    overrides = List.copyOf(overrides);
  }

  /**
   * Reads {@code NAME: KEY=VALUE KEY=VALUE ...}, or just the name of a gate.
   *
   * @throws UserException if it is neither
   */
  static Arm parse(String key, String text) {
    int colon = text.indexOf(':');
    if (colon < 0) {
      return new Arm(text.strip(), List.of("gate.type=" + text.strip()));
    }
    String name = text.substring(0, colon).strip();
    List<String> overrides =
        Arrays.stream(text.substring(colon + 1).strip().split("\\s+"))
            .filter(word -> !word.isEmpty())
            .toList();
    if (name.isEmpty() || overrides.stream().anyMatch(word -> word.indexOf('=') < 1)) {
      throw new UserException(
          key + ": \"" + text + "\" (expected: NAME: KEY=VALUE KEY=VALUE ...)",
          "write e.g. \"switch: gate.type=switch gate.omega=false\"");
    }
    return new Arm(name, overrides);
  }

  /**
   * Reads a list.
   *
   * @throws UserException if one is wrong, or two have one name
   */
  static List<Arm> parse(String key, List<String> texts) {
    List<Arm> arms = texts.stream().map(text -> parse(key, text)).toList();
    Set<String> names = new HashSet<>();
    for (Arm arm : arms) {
      if (!names.add(arm.name)) {
        throw new UserException(
            key + ": two are called \"" + arm.name + "\" (expected: different names)",
            "name each by what it does, such as \"switch N=2\"");
      }
    }
    return arms;
  }

  /**
   * The config of the experiment with what differs in this arm, and what the experiment sets.
   *
   * @throws UserException if a key or value is wrong; it says in which arm
   */
  RunConfig config(RunConfig base, List<String> set) {
    List<String> all = new ArrayList<>(overrides);
    all.addAll(set);
    try {
      return ConfigLoader.parse(ResolvedConfig.render(base), all);
    } catch (UserException e) {
      throw new UserException(
          "\"" + name + "\": " + e.getMessage().replace("\n", "\n\"" + name + "\": "),
          "correct this entry of the lab section",
          e);
    }
  }

  /** What differs but for one key. */
  Set<String> overridesWithout(String key) {
    Set<String> others = new HashSet<>(overrides);
    others.removeIf(override -> override.startsWith(key + "="));
    return others;
  }
}
