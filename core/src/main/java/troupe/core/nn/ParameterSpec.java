package troupe.core.nn;

import java.util.Arrays;
import java.util.List;

/**
 * One parameter: its name in checkpoints and hashes, its shape, how it starts and how a step
 * changes it.
 *
 * @param name canonical name, such as {@code l0.qkv.w}
 * @param shape dimensions, outermost first; all but the last fold into rows
 * @param update how a step changes it
 * @param init how it starts
 */
public record ParameterSpec(String name, List<Integer> shape, Update update, Init init) {
  /** How a step changes a parameter. */
  public enum Update {
    /** AdamW with weight decay: matrices. */
    DECAYED,
    /** AdamW without: biases, gains and omega. */
    UNDECAYED,
    /** What was summed up as its gradient is added as it is: what a gate keeps. */
    ADDED
  }

  /** Copies the shape. */
  public ParameterSpec {
    shape = List.copyOf(shape);
  }

  /** A matrix with normal draws, decayed. */
  public static ParameterSpec matrix(String name, int rows, int columns, double standardDeviation) {
    return new ParameterSpec(
        name, List.of(rows, columns), Update.DECAYED, new Init.Normal(standardDeviation));
  }

  /** A vector of one value, not decayed. */
  public static ParameterSpec vector(String name, int size, double value) {
    return new ParameterSpec(name, List.of(size), Update.UNDECAYED, new Init.Constant(value));
  }

  /** A vector of one value that its owner changes by a rule of its own. */
  public static ParameterSpec state(String name, int size, double value) {
    return new ParameterSpec(name, List.of(size), Update.ADDED, new Init.Constant(value));
  }

  /** Product of all dimensions but the last. */
  public int rows() {
    return shape.subList(0, shape.size() - 1).stream().reduce(1, Math::multiplyExact);
  }

  /** The last dimension. */
  public int columns() {
    return shape.get(shape.size() - 1);
  }

  /** Number of elements. */
  public long size() {
    return (long) rows() * columns();
  }

  /** The shape as safetensors wants it. */
  public long[] longShape() {
    return Arrays.stream(shape.toArray(Integer[]::new)).mapToLong(Integer::longValue).toArray();
  }
}
