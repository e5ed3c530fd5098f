package troupe.core.tensor;

/**
 * Checks of shapes, sizes and indices; each names the argument, what was found and what was
 * expected.
 */
public final class Shapes {
  private Shapes() {}

  /** Requires {@code rows x columns}. */
  public static void shape(String name, Tensor tensor, int rows, int columns) {
    if (tensor.rows() != rows || tensor.columns() != columns) {
      throw new IllegalArgumentException(
          name
              + ": "
              + text(tensor.rows(), tensor.columns())
              + " (expected: "
              + text(rows, columns)
              + ")");
    }
  }

  /** Requires {@code value >= least}. */
  public static void atLeast(String name, int value, int least) {
    if (value < least) {
      throw new IllegalArgumentException(name + ": " + value + " (expected: >= " + least + ")");
    }
  }

  /** Requires {@code divisor >= 1} that divides {@code whole}. */
  public static void divides(String name, int divisor, int whole) {
    if (divisor < 1 || whole % divisor != 0) {
      throw new IllegalArgumentException(
          name + ": " + divisor + " (expected: a divisor of " + whole + ")");
    }
  }

  /** Requires an array of this length. */
  public static void length(String name, int found, int expected) {
    if (found != expected) {
      throw new IllegalArgumentException(
          name + ": length " + found + " (expected: length " + expected + ")");
    }
  }

  /** Requires every index to be in {@code [0, bound)}. */
  public static void indices(String name, int[] indices, int bound) {
    for (int i = 0; i < indices.length; i++) {
      if (indices[i] < 0 || indices[i] >= bound) {
        throw new IllegalArgumentException(
            name + "[" + i + "]: " + indices[i] + " (expected: >= 0 and < " + bound + ")");
      }
    }
  }

  /** Requires the dimensions of a new tensor to be {@code rows >= 0} and {@code columns >= 1}. */
  public static void dimensions(int rows, int columns) {
    atLeast("rows", rows, 0);
    atLeast("columns", columns, 1);
  }

  /**
   * Requires a view of {@code rows x columns} from element {@code from} on to lie inside {@code
   * of}.
   */
  public static void view(Tensor of, long from, int rows, int columns) {
    dimensions(rows, columns);
    if (from < 0 || from + (long) rows * columns > of.size()) {
      throw new IllegalArgumentException(
          "view: "
              + text(rows, columns)
              + " from element "
              + from
              + " (expected: inside "
              + of.size()
              + " elements)");
    }
  }

  /** Requires {@code rows x columns} to be as many elements as {@code of} has. */
  public static void reshape(Tensor of, int rows, int columns) {
    dimensions(rows, columns);
    if ((long) rows * columns != of.size()) {
      throw new IllegalArgumentException(
          "reshape: " + text(rows, columns) + " (expected: " + of.size() + " elements)");
    }
  }

  private static String text(int rows, int columns) {
    return rows + " x " + columns;
  }
}
