package troupe.core.data;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * Splits running text into training and validation by blocks. Validation blocks are spread evenly,
 * so that every part of the text is in both, and a block is long against a sequence, so that little
 * context is lost at its ends.
 *
 * <p>Only (files, sizes, fraction) decide. Blocks are counted over all files; a block ends with its
 * file at the latest, and otherwise after a line if one ends near, so that no character is torn
 * apart.
 */
final class BlockSplit {
  /**
   * Small texts get smaller blocks: eight in validation, if they can still hold a few sentences.
   */
  private static final int VALIDATION_BLOCKS = 8;

  private static final long MIN_BLOCK_BYTES = 1 << 10;
  private static final long MAX_BLOCK_BYTES = 1 << 16;

  /** How far to look for a line end: texts without any should not be read just to be split. */
  private static final long MAX_LINE_BYTES = 1 << 12;

  private final List<MemorySegment> training = new ArrayList<>();
  private final List<MemorySegment> validation = new ArrayList<>();
  private final double fraction;
  private final long blockBytes;
  private long numBlocks;

  BlockSplit(List<MemorySegment> files, double fraction) {
    this.fraction = fraction;
    long total = files.stream().mapToLong(MemorySegment::byteSize).sum();
    blockBytes =
        Math.clamp((long) (total * fraction / VALIDATION_BLOCKS), MIN_BLOCK_BYTES, MAX_BLOCK_BYTES);
    files.forEach(this::split);
  }

  /** The text to train on. */
  Text training() {
    return new Text(training);
  }

  /** The text to validate on. */
  Text validation() {
    return new Text(validation);
  }

  private void split(MemorySegment file) {
    long size = file.byteSize();
    long begun = 0;
    boolean side = isValidation(numBlocks);
    for (long boundary = blockBytes; boundary < size; boundary += blockBytes) {
      numBlocks++;
      if (isValidation(numBlocks) != side) {
        long cut = cut(file, boundary);
        add(file.asSlice(begun, cut - begun), side);
        begun = cut;
        side = !side;
      }
    }
    numBlocks++;
    add(file.asSlice(begun), side);
  }

  private void add(MemorySegment piece, boolean side) {
    (side ? validation : training).add(piece);
  }

  /**
   * Block n is the one at which the number of validation blocks that are due, n * fraction rounded,
   * goes up.
   */
  private boolean isValidation(long n) {
    return Math.round((n + 1) * fraction) > Math.round(n * fraction);
  }

  /**
   * Where to cut near a boundary: after the next line end, or between characters if lines are long.
   */
  private long cut(MemorySegment file, long boundary) {
    long end = Math.min(file.byteSize(), boundary + Math.min(blockBytes / 2, MAX_LINE_BYTES));
    for (long at = boundary; at < end; at++) {
      if (file.get(ValueLayout.JAVA_BYTE, at) == '\n') {
        return at + 1;
      }
    }
    long at = boundary;
    while (at < file.byteSize() && Utf8.isContinuation(file, at)) {
      at++;
    }
    return at;
  }
}
