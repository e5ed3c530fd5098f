package troupe.core.random;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Words as uniform numbers u in (0, 1), each by its distance from the nearer end: u, or where that
 * is more than 1/2, u - 1. So a float has all its digits near both ends, where logarithms of u and
 * of 1 - u are large or small. With the word w as an unsigned number u is {@code (w + 1/2) / 2^32}.
 */
public final class UniformEnds {
  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final int WIDTH = LONGS.length();
  private static final int WORD_BITS = 32;

  private UniformEnds() {}

  /** The distance of one word, from 0 if it is positive, from 1 if it is negative. */
  public static float of(int word) {
    float distance = ((word ^ word >> 31) + 0.5f) * 0x1p-32f;
    return word < 0 ? -distance : distance;
  }

  /**
   * The distances of words in pairs: {@code out[2 i]} is that of {@code words[i]}, {@code out[2 i +
   * 1]} that of {@code words[half + i]}, for i below {@code half}.
   *
   * @param words as {@link Philox#words} makes them, not negative
   */
  public static void ofPairs(float[] out, long[] words, int half) {
    for (int i = loopPairs(out, words, half); i < half; i++) {
      out[2 * i] = of((int) words[i]);
      out[2 * i + 1] = of((int) words[half + i]);
    }
  }

  /** Pairs as far as whole vectors go; returns how many. */
  private static int loopPairs(float[] out, long[] words, int half) {
    int i = 0;
    for (; i <= half - WIDTH; i += WIDTH) {
      IntVector word =
          LongVector.fromArray(LONGS, words, i)
              .or(
                  LongVector.fromArray(LONGS, words, half + i)
                      .lanewise(VectorOperators.LSHL, WORD_BITS))
              .reinterpretAsInts();
      IntVector sign = word.lanewise(VectorOperators.ASHR, 31);
      FloatVector distance =
          ((FloatVector)
                  word.lanewise(VectorOperators.XOR, sign)
                      .convertShape(VectorOperators.I2F, FLOATS, 0))
              .add(0.5f)
              .mul(0x1p-32f);
      distance
          .reinterpretAsInts()
          .or(sign.and(1 << 31))
          .reinterpretAsFloats()
          .intoArray(out, 2 * i);
    }
    return i;
  }
}
