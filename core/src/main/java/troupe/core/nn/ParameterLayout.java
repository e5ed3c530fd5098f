package troupe.core.nn;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where each parameter lies in a flat buffer. Parameters that decay come first, those that no
 * optimizer touches last, so any range of the buffer splits into at most three parts; each
 * parameter starts on a cache line.
 */
public final class ParameterLayout {
  /** Elements an offset is a multiple of: 64 bytes of float32. */
  private static final int ALIGNMENT = 16;

  private final List<ParameterSpec> specs;
  private final Map<String, Long> offsets = new LinkedHashMap<>();
  private final long decayed;
  private final long optimized;
  private final long size;

  /** Lays out parameters; {@code specs} is their canonical order. */
  public ParameterLayout(List<ParameterSpec> specs) {
    this.specs = List.copyOf(specs);
    this.decayed = place(ParameterSpec.Update.DECAYED, 0);
    this.optimized = place(ParameterSpec.Update.UNDECAYED, decayed);
    this.size = place(ParameterSpec.Update.ADDED, optimized);
    if (offsets.size() != specs.size()) {
      throw new IllegalArgumentException("parameter names: not unique (expected: unique)");
    }
  }

  private long place(ParameterSpec.Update update, long from) {
    long offset = from;
    for (ParameterSpec spec : specs) {
      if (spec.update() == update) {
        offsets.put(spec.name(), offset);
        offset += (spec.size() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
      }
    }
    return offset;
  }

  /** The parameters in canonical order. */
  public List<ParameterSpec> specs() {
    return specs;
  }

  /** The parameters in the order of their offsets. */
  List<ParameterSpec> inPlace() {
    return specs.stream().sorted(Comparator.comparingLong(it -> offset(it.name()))).toList();
  }

  /** The first element of a parameter. */
  public long offset(String name) {
    Long offset = offsets.get(name);
    if (offset == null) {
      throw new IllegalArgumentException(
          "parameter: " + name + " (expected: one of " + offsets.keySet() + ")");
    }
    return offset;
  }

  /** Elements up to here decay, those after do not. */
  public long decayed() {
    return decayed;
  }

  /** Elements up to here have gradients and an optimizer; those after are added to. */
  public long optimized() {
    return optimized;
  }

  /** Elements of the flat buffer, padding included. */
  public long size() {
    return size;
  }

  /** Elements of all parameters, padding left out. */
  public long parameterCount() {
    return specs.stream().mapToLong(ParameterSpec::size).sum();
  }
}
