package troupe.core.data;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * UTF-8 text as the pieces of memory that it lies in, mapped files for the most part: one logical
 * text, in order. A piece begins and ends between characters.
 */
public record Text(List<MemorySegment> pieces) {
  public Text {
    pieces = pieces.stream().filter(piece -> piece.byteSize() > 0).toList();
  }

  /** How many bytes there are. */
  public long bytes() {
    return pieces.stream().mapToLong(MemorySegment::byteSize).sum();
  }
}
