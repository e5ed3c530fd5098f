package troupe.core.random;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Words as Exp(1) numbers, as {@link Philox#exponential} but within {@link #ERROR} of it: for who
 * only asks which of several is least, and asks again where it is close. In floats and without a
 * division, at a third of the time.
 *
 * <p>With d the distance of the uniform number u from the nearer end of (0, 1), {@code -ln u} is
 * {@code -ln(1 - d)} near 1, {@code d} times a polynomial; and near 0 {@code -n ln 2 - ln m} with
 * {@code d = 2^n m}, where the bits of d are {@code n + m} times a constant but for a polynomial of
 * m. Polynomials are minimax, of relative error 4.5e-5 and 9e-5.
 */
public final class RoughExponential {
  /** Bound of the relative error. */
  public static final float ERROR = 0x1p-13f;

  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final int WIDTH = LONGS.length();
  private static final int WORD_BITS = 32;
  private static final int MANTISSA = (1 << 23) - 1;
  private static final int ONE = Float.floatToRawIntBits(1);
  private static final float MINUS_LN2_AT_BITS = -0x1.62e430p-1f * 0x1p-23f;

  // -ln(1 - d) / d for d up to 1/2.
  private static final float A0 = 1.0000443f;
  private static final float A1 = 0.49578148f;
  private static final float A2 = 0.39580259f;
  private static final float A3 = -0.057820458f;
  private static final float A4 = 0.74519467f;
  // 127 ln 2 + (m - 1) ln 2 - ln m for m from 1 to 2.
  private static final float B0 = 89.078323f;
  private static final float B1 = -2.1280249f;
  private static final float B2 = 1.4699401f;
  private static final float B3 = -0.44717865f;
  private static final float B4 = 0.056571772f;

  private RoughExponential() {}

  /** The number of one word. */
  public static float of(int word) {
    float d = ((word ^ word >> 31) + 0.5f) * 0x1p-32f;
    if (word < 0) {
      float p = Math.fma(d, A4, A3);
      p = Math.fma(p, d, A2);
      p = Math.fma(p, d, A1);
      return Math.fma(p, d, A0) * d;
    }
    int bits = Float.floatToRawIntBits(d);
    float m = Float.intBitsToFloat(bits & MANTISSA | ONE);
    float p = Math.fma(m, B4, B3);
    p = Math.fma(p, m, B2);
    p = Math.fma(p, m, B1);
    p = Math.fma(p, m, B0);
    return Math.fma((float) bits, MINUS_LN2_AT_BITS, p);
  }

  /**
   * The numbers of words in pairs: {@code out[at + 2 i]} is that of {@code words[i]}, {@code out[at
   * + 2 i + 1]} that of {@code words[half + i]}, for i below {@code half}.
   *
   * @param words as {@link Philox#words} makes them, not negative
   */
  public static void ofPairs(float[] out, int at, long[] words, int half) {
    for (int i = loopPairs(out, at, words, half); i < half; i++) {
      out[at + 2 * i] = of((int) words[i]);
      out[at + 2 * i + 1] = of((int) words[half + i]);
    }
  }

  /** Pairs as far as whole vectors go; returns how many. */
  private static int loopPairs(float[] out, int at, long[] words, int half) {
    int i = 0;
    for (; i <= half - WIDTH; i += WIDTH) {
      IntVector word =
          LongVector.fromArray(LONGS, words, i)
              .or(
                  LongVector.fromArray(LONGS, words, half + i)
                      .lanewise(VectorOperators.LSHL, WORD_BITS))
              .reinterpretAsInts();
      FloatVector d =
          floats(word.lanewise(VectorOperators.XOR, word.lanewise(VectorOperators.ASHR, 31)))
              .add(0.5f)
              .mul(0x1p-32f);
      FloatVector p = d.fma(all(A4), all(A3));
      p = p.fma(d, all(A2));
      p = p.fma(d, all(A1));
      p = p.fma(d, all(A0)).mul(d);
      IntVector bits = d.reinterpretAsInts();
      FloatVector m = bits.and(MANTISSA).or(ONE).reinterpretAsFloats();
      FloatVector q = m.fma(all(B4), all(B3));
      q = q.fma(m, all(B2));
      q = q.fma(m, all(B1));
      q = q.fma(m, all(B0));
      q = floats(bits).fma(all(MINUS_LN2_AT_BITS), q);
      q.blend(p, word.compare(VectorOperators.LT, 0).cast(FLOATS)).intoArray(out, at + 2 * i);
    }
    return i;
  }

  private static FloatVector floats(IntVector x) {
    return (FloatVector) x.convertShape(VectorOperators.I2F, FLOATS, 0);
  }

  private static FloatVector all(float value) {
    return FloatVector.broadcast(FLOATS, value);
  }
}
