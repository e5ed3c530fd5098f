package troupe.coordinator.wire;

import com.esotericsoftware.kryo.io.Input;

/** Keeps a forged length from allocating more than the bytes at hand could hold. */
final class Bounds {
  private Bounds() {}

  static int remaining(Input input) {
    return input.limit() - input.position();
  }

  /**
   * Reads a number of elements.
   *
   * @param elementBytes the fewest bytes that an element takes
   */
  static int readCount(Input input, int elementBytes) {
    int count = input.readVarInt(true);
    return check(count, input, elementBytes);
  }

  /** A number of elements that was read, if what is left can hold them. */
  static int check(int count, Input input, int elementBytes) {
    int possible = remaining(input) / elementBytes;
    if (count < 0 || count > possible) {
      throw RefusedException.malformed(
          "length " + Integer.toUnsignedString(count),
          "at most " + possible + ", for no more bytes are left");
    }
    return count;
  }
}
