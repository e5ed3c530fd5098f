package troupe.core.data;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Objects;

/** The bytes of a text as tokens, read where they lie. */
final class ByteTokens implements TokenStream {
  private final MemorySegment[] pieces;

  /**
   * {@code starts[i]} is the position of the first byte of piece i; one more entry holds the size.
   */
  private final long[] starts;

  ByteTokens(Text text) {
    pieces = text.pieces().toArray(MemorySegment[]::new);
    starts = new long[pieces.length + 1];
    for (int i = 0; i < pieces.length; i++) {
      starts[i + 1] = starts[i] + pieces[i].byteSize();
    }
  }

  @Override
  public long size() {
    return starts[pieces.length];
  }

  @Override
  public void read(long from, int[] out, int offset, int count) {
    Objects.checkFromIndexSize(from, count, size());
    Objects.checkFromIndexSize(offset, count, out.length);
    if (count == 0) {
      return;
    }
    int found = Arrays.binarySearch(starts, from);
    int index = found >= 0 ? found : -found - 2;
    long at = from - starts[index];
    for (int done = 0; done < count; index++, at = 0) {
      MemorySegment piece = pieces[index];
      int length = (int) Math.min(count - done, piece.byteSize() - at);
      for (int i = 0; i < length; i++) {
        out[offset + done + i] = Byte.toUnsignedInt(piece.get(ValueLayout.JAVA_BYTE, at + i));
      }
      done += length;
    }
  }
}
