package troupe.coordinator.doctor;

/**
 * One thing that is so.
 *
 * @param name in snake case with its unit, the key in JSON
 * @param value a string, number or boolean, or a map of these by name, for machines
 * @param text the same for people
 */
public record Fact(String name, Object value, String text) {
  static Fact of(String name, Object value) {
    return new Fact(name, value, value.toString());
  }

  /** The name for people: its unit stands beside the value. */
  String label() {
    return name.replaceFirst("_(bytes|bits|gflops|gb_per_s)$", "").replace('_', ' ');
  }

  static Fact bytes(String name, long bytes) {
    return new Fact(name + "_bytes", bytes, Sizes.readable(bytes));
  }
}
