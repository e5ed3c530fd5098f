package troupe.core.config;

import com.typesafe.config.ConfigUtil;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;

/** A config with nothing left to defaults: as text, as a hash, and compared with another. */
public final class ResolvedConfig {
  /**
   * Sections and keys that leave the parameters of a run as they are: where it lives, what it
   * reports, how it is spread over threads and wires, faults, from which a run recovers to the same
   * bits, and experiments that it may be part of.
   */
  private static final Set<String> WITHOUT_EFFECT =
      Set.of(
          "run",
          "cuda",
          "gate.trace",
          "train.log_every",
          "evaluate",
          "generate",
          "checkpoint",
          "cluster",
          "placement",
          "replicate",
          "transport",
          "faults",
          "simulate",
          "lab");

  private static final String ABSENT = "nothing";

  private ResolvedConfig() {}

  /** A key that two configs disagree on, with the value of either as HOCON. */
  public record Difference(String key, String first, String second) {
    @Override
    public String toString() {
      return key + ": " + first + " (expected: " + second + ")";
    }
  }

  /**
   * HOCON with every key, in the order of the records; {@link ConfigLoader#parse} makes an equal
   * config of it.
   */
  public static String render(RunConfig config) {
    StringBuilder text = new StringBuilder();
    String openSection = "";
    for (Map.Entry<String, String> entry : values(config).entrySet()) {
      int dot = entry.getKey().indexOf('.');
      String section = dot < 0 ? "" : entry.getKey().substring(0, dot);
      if (!section.equals(openSection)) {
        text.append(openSection.isEmpty() ? "" : "}\n");
        text.append(section.isEmpty() ? "" : section + " {\n");
        openSection = section;
      }
      text.append(section.isEmpty() ? "" : "  ")
          .append(entry.getKey().substring(dot + 1))
          .append(" = ")
          .append(entry.getValue())
          .append('\n');
    }
    return text.append(openSection.isEmpty() ? "" : "}\n").toString();
  }

  /**
   * SHA-256, in hex, of the keys and values that decide the parameters of a run. Two configs of the
   * same hash give the same bits on the same kind of device; it leaves out {@code run}, {@code
   * gate.trace}, {@code train.log_every}, {@code evaluate}, {@code generate}, {@code checkpoint},
   * {@code cluster}, {@code placement}, {@code replicate}, {@code transport}, {@code faults},
   * {@code simulate} and {@code lab}.
   */
  public static String hash(RunConfig config) {
    String canonical =
        deciding(config).entrySet().stream()
            .map(entry -> entry.getKey() + "=" + entry.getValue() + "\n")
            .collect(Collectors.joining());
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      return HexFormat.of().formatHex(digest.digest(canonical.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * What two configs disagree on among the keys of {@link #hash}: empty exactly if their hashes are
   * equal.
   */
  public static List<Difference> differences(RunConfig first, RunConfig second) {
    return differences(deciding(first), deciding(second));
  }

  /**
   * The same for what {@link #deciding} gave, maybe in another process of another version: a key
   * that only one of them has differs, too.
   */
  public static List<Difference> differences(
      Map<String, String> first, Map<String, String> second) {
    Set<String> keys = new LinkedHashSet<>(first.keySet());
    keys.addAll(second.keySet());
    List<Difference> differences = new ArrayList<>();
    for (String key : keys) {
      String value = first.getOrDefault(key, ABSENT);
      String other = second.getOrDefault(key, ABSENT);
      if (!value.equals(other)) {
        differences.add(new Difference(key, value, other));
      }
    }
    return differences;
  }

  /** The keys of {@link #hash}, in the order of the records, each with its value as HOCON. */
  public static Map<String, String> deciding(RunConfig config) {
    Map<String, String> values = values(config);
    values
        .keySet()
        .removeIf(
            key -> WITHOUT_EFFECT.contains(key) || WITHOUT_EFFECT.contains(key.split("\\.")[0]));
    // One GPU computes what another does.
    values.computeIfPresent(
        "device", (key, name) -> name.replaceFirst("^\"cuda:\\d+\"$", "\"cuda\""));
    return values;
  }

  /** Every key with its value as HOCON, in the order of the records. */
  public static Map<String, String> values(RunConfig config) {
    Map<String, String> values = new LinkedHashMap<>();
    collect(config, "", values);
    return values;
  }

  private static void collect(Record record, String prefix, Map<String, String> values) {
    for (RecordComponent component : record.getClass().getRecordComponents()) {
      String key = prefix + Keys.name(component);
      Object value = read(record, component);
      if (value instanceof Record section) {
        collect(section, key + ".", values);
      } else {
        values.put(key, hocon(value));
      }
    }
  }

  private static Object read(Record record, RecordComponent component) {
    try {
      return component.getAccessor().invoke(record);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(component.getName(), e);
    }
  }

  private static String hocon(Object value) {
    return switch (value) {
      case Enum<?> constant -> Keys.name(constant);
      case String text -> ConfigUtil.quoteString(text);
      case List<?> list ->
          list.stream().map(ResolvedConfig::hocon).collect(Collectors.joining(", ", "[", "]"));
      default -> value.toString();
    };
  }
}
