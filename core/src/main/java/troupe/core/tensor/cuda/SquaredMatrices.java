package troupe.core.tensor.cuda;

import java.util.List;
import java.util.TreeMap;

/**
 * The matrices of a block whose squares were summed, in pieces, by the product that wrote them; not
 * those that something else has written since.
 */
final class SquaredMatrices {
  /** A piece has that many rows and columns at most, as products.cu has it. */
  private static final int ROWS = 16;

  private static final int COLUMNS = 256;

  /**
   * Elements for each of which there is a place for one sum: pieces are no smaller, for {@link
   * GroupedProducts} takes multiples of {@link GroupedProducts#COLUMNS} rows and columns alone. So
   * the place of a matrix follows from where it is in the block, and no two have the same.
   */
  static final int ELEMENTS_OF_A_SUM = GroupedProducts.COLUMNS * GroupedProducts.COLUMNS;

  /**
   * A matrix.
   *
   * @param from its first element
   * @param end what comes after its last
   * @param sums how many there are
   */
  record Matrix(long from, long end, int sums) {
    /** The place of its first sum. */
    long place() {
      return from / ELEMENTS_OF_A_SUM;
    }
  }

  private final TreeMap<Long, Matrix> matrices = new TreeMap<>();

  /** A product is about to write a matrix, and to sum its squares. */
  Matrix squared(long from, int rows, int columns) {
    long end = from + (long) rows * columns;
    written(from, end);
    int sums = Math.ceilDiv(rows, ROWS) * Math.ceilDiv(columns, COLUMNS);
    Matrix matrix = new Matrix(from, end, sums);
    matrices.put(from, matrix);
    return matrix;
  }

  /** Something is about to write elements. */
  void written(long from, long end) {
    matrices.values().removeIf(matrix -> matrix.from() < end && from < matrix.end());
  }

  /** Those that are whole within a range, in order. */
  List<Matrix> within(long from, long end) {
    return matrices.tailMap(from).values().stream().filter(it -> it.end() <= end).toList();
  }
}
