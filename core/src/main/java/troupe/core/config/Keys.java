package troupe.core.config;

import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * The keys of a config, derived from its records: {@code train.micro_batches} is {@code
 * train().microBatches()}.
 */
public final class Keys {
  /** Every dotted key and the type of its value, in the order of the records' components. */
  static final Map<String, Type> TYPES = types(RunConfig.class, "");

  private Keys() {}

  private static Map<String, Type> types(Class<?> record, String prefix) {
    Map<String, Type> types = new LinkedHashMap<>();
    for (RecordComponent component : record.getRecordComponents()) {
      String key = prefix + name(component);
      if (component.getType().isRecord()) {
        types.putAll(types(component.getType(), key + "."));
      } else {
        types.put(key, component.getGenericType());
      }
    }
    return types;
  }

  /** The name of a component in snake case. */
  static String name(RecordComponent component) {
    return component.getName().replaceAll("([A-Z])", "_$1").toLowerCase(Locale.ROOT);
  }

  /** The name of an enum value in lower case with dashes. */
  public static String name(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  /** The value of that name, if the enum has one. */
  static Optional<? extends Enum<?>> value(Class<? extends Enum<?>> type, String name) {
    return Arrays.stream(type.getEnumConstants())
        .filter(value -> name(value).equals(name))
        .findFirst();
  }

  /** The names of an enum as a list for people. */
  static String names(Class<? extends Enum<?>> type) {
    return Arrays.stream(type.getEnumConstants()).map(Keys::name).collect(Collectors.joining(", "));
  }

  /**
   * The key that was probably meant: the one at the least edit distance. A right name in the wrong
   * section, or without one, counts as a single edit.
   */
  static String nearest(String unknown) {
    String nearest = "";
    int least = Integer.MAX_VALUE;
    for (String key : TYPES.keySet()) {
      int distance = Math.min(distance(unknown, key), 1 + distance(leaf(unknown), leaf(key)));
      if (distance < least) {
        least = distance;
        nearest = key;
      }
    }
    return nearest;
  }

  private static String leaf(String key) {
    return key.substring(key.lastIndexOf('.') + 1);
  }

  /** Levenshtein distance, one row at a time. */
  private static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    Arrays.setAll(row, j -> j);
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(substituted, 1 + Math.min(row[j], row[j - 1]));
      }
    }
    return row[b.length()];
  }
}
