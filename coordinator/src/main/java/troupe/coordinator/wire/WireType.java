package troupe.coordinator.wire;

import java.util.Set;

/**
 * A type that travels.
 *
 * @param id never given to another type
 * @param type a record or an enum
 * @param isMessage whether it travels by itself, or else only within others
 * @param nullable components of the record that may be null; strings always may
 */
record WireType(int id, Class<?> type, boolean isMessage, Set<String> nullable) {
  /** Ids below are Kryo's own. */
  static final int FIRST_ID = 16;

  WireType {
    nullable = Set.copyOf(nullable);
    if (id < FIRST_ID) {
      throw new IllegalArgumentException("id: " + id + " (expected: >= " + FIRST_ID + ")");
    }
    if (!type.isRecord() && !type.isEnum()) {
      throw new IllegalArgumentException(
          "type: " + type.getName() + " (expected: a record or an enum)");
    }
  }

  static WireType message(int id, Class<? extends Record> type) {
    return new WireType(id, type, true, Set.of());
  }

  static WireType part(int id, Class<?> type, String... nullable) {
    return new WireType(id, type, false, Set.of(nullable));
  }

  /** The name of a type as people write it: {@code Host.Report}. */
  static String nameOf(Class<?> type) {
    String name = type.getName();
    return name.substring(name.lastIndexOf('.') + 1).replace('$', '.');
  }

  String name() {
    return nameOf(type);
  }
}
