package troupe.core.tensor.cuda;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * What a sum of squares is made of: for matrices that products wrote, the sums that those left; for
 * what is between them, the elements.
 */
final class SquaredPieces {
  // As dense.cu has them.
  private static final int MOST = 32;
  private static final int PIECE_BYTES = 16;

  /** A block of threads reads about so much in the time that a launch takes. */
  private static final long FEW_ELEMENTS = 1 << 16;

  private record Piece(long address, long count, boolean isSquared) {}

  private final List<Piece> pieces = new ArrayList<>();

  private SquaredPieces() {}

  /** The pieces of a range of elements. */
  static SquaredPieces of(Block block, long from, long end) {
    SquaredPieces pieces = new SquaredPieces();
    long at = from;
    for (SquaredMatrices.Matrix matrix : block.squaredWithin(from, end)) {
      pieces.addElements(block, at, matrix.from());
      pieces.pieces.add(new Piece(block.sumsOf(matrix), matrix.sums(), true));
      at = matrix.end();
    }
    pieces.addElements(block, at, end);
    return pieces;
  }

  private void addElements(Block block, long from, long end) {
    if (from < end) {
      pieces.add(new Piece(block.address() + from * block.type().bytes(), end - from, false));
    }
  }

  int count() {
    return pieces.size();
  }

  /** Whether there are sums, and little beside them, so that one block of threads does it all. */
  boolean areFew() {
    return pieces.stream().anyMatch(Piece::isSquared)
        && pieces.size() <= MOST
        && pieces.stream().mapToLong(Piece::count).sum() <= FEW_ELEMENTS;
  }

  /** As the kernel is given them. */
  MemorySegment written(Arena arena) {
    MemorySegment memory = arena.allocate((long) MOST * PIECE_BYTES, Long.BYTES);
    int end = 0;
    for (int i = 0; i < pieces.size(); i++) {
      Piece piece = pieces.get(i);
      end += (int) piece.count();
      memory.set(ValueLayout.JAVA_LONG, (long) i * PIECE_BYTES, piece.address());
      memory.set(ValueLayout.JAVA_INT, (long) i * PIECE_BYTES + 8, end);
      memory.set(ValueLayout.JAVA_INT, (long) i * PIECE_BYTES + 12, piece.isSquared() ? 1 : 0);
    }
    return memory;
  }
}
