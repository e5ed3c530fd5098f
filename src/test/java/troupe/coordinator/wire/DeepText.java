package troupe.coordinator.wire;

import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.Collection;
import java.util.Map;
import java.util.stream.Collectors;

/** A message as text that is the same exactly if the content is, in arrays too. */
final class DeepText {
  /** Reflection makes these anew each time, and the fuzz test asks a million times. */
  private static final ClassValue<RecordComponent[]> COMPONENTS =
      new ClassValue<>() {
        @Override
        protected RecordComponent[] computeValue(Class<?> type) {
          RecordComponent[] components = type.getRecordComponents();
          for (RecordComponent component : components) {
            component.getAccessor().setAccessible(true);
          }
          return components;
        }
      };

  private DeepText() {}

  /** The components of a record, with accessors that work. */
  static RecordComponent[] components(Class<?> type) {
    return COMPONENTS.get(type);
  }

  static String of(Object value) {
    return switch (value) {
      case null -> "null";
      case int[] array -> "int" + Arrays.toString(array);
      case long[] array -> "long" + Arrays.toString(array);
      case double[] array -> "double" + Arrays.toString(array);
      case Record record -> ofRecord(record);
      case Map<?, ?> map ->
          map.entrySet().stream()
              .map(entry -> of(entry.getKey()) + "=" + of(entry.getValue()))
              .collect(Collectors.joining(", ", "{", "}"));
      case Collection<?> collection ->
          collection.stream().map(DeepText::of).collect(Collectors.joining(", ", "[", "]"));
      default -> value.toString();
    };
  }

  private static String ofRecord(Record record) {
    StringBuilder text = new StringBuilder(record.getClass().getName()).append('(');
    for (RecordComponent component : components(record.getClass())) {
      try {
        text.append(component.getName()).append('=');
        text.append(of(component.getAccessor().invoke(record))).append("; ");
      } catch (ReflectiveOperationException e) {
        throw new AssertionError(e);
      }
    }
    return text.append(')').toString();
  }
}
