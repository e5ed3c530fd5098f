package troupe.core.data;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;

/**
 * Finds bytes that are not UTF-8 (Unicode 16, table 3-7: no overlong forms, no surrogates, nothing
 * above U+10FFFF). Mostly ASCII text goes by eight bytes at a time, several GB/s on one core, so
 * that a whole corpus can be checked before training.
 */
final class Utf8 {
  private static final ValueLayout.OfByte BYTE = ValueLayout.JAVA_BYTE;
  private static final ValueLayout.OfLong WORD =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final long HIGH_BITS = 0x8080808080808080L;

  private Utf8() {}

  /** The offset of the first character that is not valid UTF-8, or -1. */
  static long firstInvalid(MemorySegment text) {
    long size = text.byteSize();
    long at = 0;
    while (at < size) {
      if (size - at >= Long.BYTES) {
        long high = text.get(WORD, at) & HIGH_BITS;
        if (high == 0) {
          at += Long.BYTES;
          continue;
        }
        at += Long.numberOfTrailingZeros(high) / Byte.SIZE;
      }
      // Scripts other than Latin come in runs: trying a word after each character would halve their
      // speed.
      do {
        int length = length(text, at, size);
        if (length == 0) {
          return at;
        }
        at += length;
      } while (at < size && text.get(BYTE, at) < 0);
    }
    return -1;
  }

  /** The number of bytes of the character at this offset, 0 if it is malformed or cut off. */
  private static int length(MemorySegment text, long at, long size) {
    int lead = Byte.toUnsignedInt(text.get(BYTE, at));
    if (lead < 0x80) {
      return 1;
    }
    int length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (length == 0 || size - at < length) {
      return 0;
    }
    int second = Byte.toUnsignedInt(text.get(BYTE, at + 1));
    int low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    int high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (second < low || second > high) {
      return 0;
    }
    for (int i = 2; i < length; i++) {
      if (!isContinuation(text, at + i)) {
        return 0;
      }
    }
    return length;
  }

  /** Whether the byte at this offset continues a character that began before it. */
  static boolean isContinuation(MemorySegment text, long at) {
    return (text.get(BYTE, at) & 0xC0) == 0x80;
  }
}
