package troupe.core.config;

import com.typesafe.config.ConfigObject;
import com.typesafe.config.ConfigOrigin;
import com.typesafe.config.ConfigValue;
import com.typesafe.config.ConfigValueType;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Builds records from HOCON and collects every mistake on the way instead of stopping at the first.
 */
final class RecordBinder {
  private final Map<String, ConfigOrigin> origins = new LinkedHashMap<>();
  private final List<String> problems = new ArrayList<>();

  /** What was wrong, one line each; empty if {@link #bind} returned a record. */
  List<String> problems() {
    return List.copyOf(problems);
  }

  /** The record of these values, or nothing if there are problems. */
  <R extends Record> Optional<R> bind(Class<R> type, ConfigObject values) {
    Object bound = bindRecord(type, values, "");
    return problems.isEmpty() ? Optional.of(type.cast(bound)) : Optional.empty();
  }

  private Object bindRecord(Class<?> type, ConfigObject values, String prefix) {
    int problemsBefore = problems.size();
    RecordComponent[] components = type.getRecordComponents();
    Object[] arguments = new Object[components.length];
    List<String> known = new ArrayList<>();
    for (int i = 0; i < components.length; i++) {
      String name = Keys.name(components[i]);
      known.add(name);
      arguments[i] = bindComponent(components[i], prefix + name, values.get(name));
    }
    values.forEach(
        (name, value) -> {
          if (!known.contains(name)) {
            reportUnknown(prefix + name, value);
          }
        });
    return problems.size() == problemsBefore ? construct(type, components, arguments) : null;
  }

  private Object bindComponent(RecordComponent component, String key, ConfigValue value) {
    if (value == null || value.valueType() == ConfigValueType.NULL) {
      problems.add(key + ": missing (expected: " + expected(component.getGenericType()) + ")");
      return null;
    }
    origins.put(key, value.origin());
    if (component.getType().isRecord()) {
      if (value instanceof ConfigObject section) {
        return bindRecord(component.getType(), section, key + ".");
      }
      reportWrong(key, value, "a section: " + key + " { ... }");
      return null;
    }
    Optional<?> converted = convert(component.getGenericType(), value);
    if (converted.isEmpty()) {
      reportWrong(key, value, expected(component.getGenericType()));
    }
    return converted.orElse(null);
  }

  private Object construct(Class<?> type, RecordComponent[] components, Object[] arguments) {
    Class<?>[] types =
        Arrays.stream(components).map(RecordComponent::getType).toArray(Class<?>[]::new);
    try {
      Constructor<?> constructor = type.getDeclaredConstructor(types);
      return constructor.newInstance(arguments);
    } catch (InvocationTargetException e) {
      if (!(e.getCause() instanceof IllegalArgumentException violations)) {
        throw new IllegalStateException(type.getName(), e.getCause());
      }
      violations.getMessage().lines().forEach(line -> problems.add(line + from(line)));
      return null;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(type.getName(), e);
    }
  }

  private static Optional<?> convert(Type type, ConfigValue value) {
    Object raw = value.unwrapped();
    return switch (value.valueType()) {
      case STRING, NUMBER, BOOLEAN -> convertScalar(type, raw);
      case LIST -> convertList(type, (List<?>) raw);
      case OBJECT, NULL -> Optional.empty();
    };
  }

  private static Optional<?> convertScalar(Type type, Object raw) {
    if (!(type instanceof Class<?> target)) {
      return Optional.empty();
    }
    String text = raw.toString();
    if (target.isEnum()) {
      return Keys.value(enumType(target), text);
    }
    if (target == String.class) {
      return Optional.of(text);
    }
    if (target == boolean.class) {
      return switch (text) {
        case "true", "yes", "on" -> Optional.of(true);
        case "false", "no", "off" -> Optional.of(false);
        default -> Optional.empty();
      };
    }
    return convertNumber(target, text);
  }

  /** Exact or nothing: neither 1.5 for an int nor 1e999 for a double is let through. */
  private static Optional<Number> convertNumber(Class<?> target, String text) {
    try {
      BigDecimal number = new BigDecimal(text);
      if (target == int.class || target == Integer.class) {
        return Optional.of(number.intValueExact());
      }
      if (target == long.class) {
        return Optional.of(number.longValueExact());
      }
      double value = Double.parseDouble(text);
      return Double.isFinite(value) ? Optional.of(value) : Optional.empty();
    } catch (NumberFormatException | ArithmeticException e) {
      return Optional.empty();
    }
  }

  private static Optional<List<?>> convertList(Type type, List<?> raw) {
    if (!(type instanceof ParameterizedType list)) {
      return Optional.empty();
    }
    Type element = list.getActualTypeArguments()[0];
    List<Object> converted = new ArrayList<>();
    for (Object value : raw) {
      boolean scalar = value instanceof String || value instanceof Number;
      boolean fits = element == String.class ? value instanceof String : scalar;
      (fits ? convertScalar(element, value) : Optional.empty()).ifPresent(converted::add);
    }
    return converted.size() == raw.size() ? Optional.of(converted) : Optional.empty();
  }

  private static String expected(Type type) {
    if (!(type instanceof Class<?> target)) {
      Type element = ((ParameterizedType) type).getActualTypeArguments()[0];
      return element == String.class
          ? "a list of strings"
          : element == Double.class ? "a list of numbers" : "a list, each " + expected(element);
    }
    if (target.isEnum()) {
      return "one of " + Keys.names(enumType(target));
    }
    if (target == int.class || target == Integer.class) {
      return "a whole number below 2147483648";
    }
    if (target == long.class) {
      return "a whole number";
    }
    if (target == double.class || target == Double.class) {
      return "a number";
    }
    return target == boolean.class ? "true or false" : target.isRecord() ? "a section" : "a string";
  }

  @SuppressWarnings("unchecked")
  private static Class<? extends Enum<?>> enumType(Class<?> type) {
    return (Class<? extends Enum<?>>) type;
  }

  private void reportUnknown(String key, ConfigValue value) {
    if (value instanceof ConfigObject section && !section.isEmpty()) {
      section.forEach((name, inner) -> reportUnknown(key + "." + name, inner));
      return;
    }
    problems.add(
        key + ": unknown key (nearest known: " + Keys.nearest(key) + ")" + at(value.origin()));
  }

  private void reportWrong(String key, ConfigValue value, String expected) {
    problems.add(Expect.violation(key, value.unwrapped(), expected) + at(value.origin()));
  }

  /** Where the key that a violation starts with was set. */
  private String from(String violation) {
    int end = violation.indexOf(':');
    ConfigOrigin origin = end < 0 ? null : origins.get(violation.substring(0, end));
    return origin == null ? "" : at(origin);
  }

  private static String at(ConfigOrigin origin) {
    String description = origin.description();
    return description.startsWith(ConfigLoader.OVERRIDE)
        ? " in " + description.replaceFirst(": 1$", "")
        : " at " + description.replaceFirst(": (\\d+)$", ":$1");
  }
}
