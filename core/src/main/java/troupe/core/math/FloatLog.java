package troupe.core.math;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The natural logarithm of floats, within one unit in the last place: for draws, of which twice as
 * many fit into a vector as of doubles. {@code ln x = n ln 2 + ln(1 + f)} with {@code sqrt(1/2) <=
 * 1 + f < sqrt(2)}, and {@code ln(1 + f) = f + f^2 (f P(f) - 1/2)}.
 *
 * <p>As in {@link Log}, a vector computes what a number alone computes, so a result depends neither
 * on the width of vectors nor on where in an array its argument is.
 */
public final class FloatLog {
  private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  // The nearest float is as good as two: 3e-9 of it are missing.
  private static final float LN2 = 0x1.62e430p-1f;
  private static final int MANTISSA_BITS = 23;
  private static final int MANTISSA = (1 << MANTISSA_BITS) - 1;
  // Subtracting them from the bits of x makes the exponent that of the power of two next to x.
  private static final int ROOT_HALF = Float.floatToRawIntBits((float) Math.sqrt(0.5));
  // ((ln(1 + f) - f) / f^2 + 1/2) / f, minimax by Remez' algorithm: relative error of ln(1 + f)
  // 6e-9.
  private static final float P0 = 0.33333331707836744f;
  private static final float P1 = -0.25000821032067394f;
  private static final float P2 = 0.20001226862979288f;
  private static final float P3 = -0.16623357410258688f;
  private static final float P4 = 0.14201758352169613f;
  private static final float P5 = -0.13160182162950032f;
  private static final float P6 = 0.12761574549582455f;
  private static final float P7 = -0.07634493986312678f;
  private static final int SUBNORMAL_SHIFT = 25;

  private FloatLog() {}

  /** {@code ln x}; negative infinity for zero, NaN for what has no logarithm. */
  public static float of(float x) {
    if (x >= Float.MIN_NORMAL && x <= Float.MAX_VALUE) {
      return ordinary(x, 0);
    }
    if (x > 0) {
      return x < 1 ? ordinary(x * 0x1p25f, SUBNORMAL_SHIFT) : x;
    }
    return x == 0 ? Float.NEGATIVE_INFINITY : Float.NaN;
  }

  /** {@code out[at + i] = ln x[i]} for i in {@code [from, to)}; may be the same places. */
  public static void of(float[] out, int at, float[] x, int from, int to) {
    for (int i = loop(out, at, x, from, to); i < to; i++) {
      out[at + i] = of(x[i]);
    }
  }

  /**
   * Minus the logarithm of a number between 0 and 1 that is given by its distance from the nearer
   * of these: {@code -ln(1 - d)} for d from 0 to 1/2, {@code -ln(-d)} for d from -1/2 to 0. Within
   * one unit in the last place, so that small results have all the digits of d, which {@code 1 - d}
   * would lose; within three for d above 0.29, where it does lose some.
   */
  public static float minusFromEnd(float d) {
    int above = Float.floatToRawIntBits((d < 0 ? 0 : 1) - d) - ROOT_HALF;
    float n = above >> MANTISSA_BITS;
    return -sum(n, n == 0 ? -d : fraction(above));
  }

  /** {@code x[i] = }{@link #minusFromEnd}{@code (x[i])} for i in {@code [from, to)}. */
  public static void minusFromEnds(float[] x, int from, int to) {
    for (int i = loopFromEnds(x, from, to); i < to; i++) {
      x[i] = minusFromEnd(x[i]);
    }
  }

  /** The logarithm of a normal number {@code x / 2^shift}. */
  private static float ordinary(float x, int shift) {
    int above = Float.floatToRawIntBits(x) - ROOT_HALF;
    return sum((above >> MANTISSA_BITS) - shift, fraction(above));
  }

  private static float fraction(int above) {
    return Float.intBitsToFloat((above & MANTISSA) + ROOT_HALF) - 1;
  }

  /** {@code n ln 2 + ln(1 + f)}. */
  private static float sum(float n, float f) {
    float p = Math.fma(f, P7, P6);
    p = Math.fma(p, f, P5);
    p = Math.fma(p, f, P4);
    p = Math.fma(p, f, P3);
    p = Math.fma(p, f, P2);
    p = Math.fma(p, f, P1);
    p = Math.fma(p, f, P0);
    return Math.fma(n, LN2, Math.fma(f * f, Math.fma(p, f, -0.5f), f));
  }

  /** Goes as far as vectors go; returns how far that is. */
  private static int loop(float[] out, int at, float[] x, int from, int to) {
    int i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      FloatVector argument = FloatVector.fromArray(SPECIES, x, i);
      if (argument
          .compare(VectorOperators.GE, Float.MIN_NORMAL)
          .and(argument.compare(VectorOperators.LE, Float.MAX_VALUE))
          .allTrue()) {
        IntVector above = argument.reinterpretAsInts().sub(ROOT_HALF);
        sum(exponent(above), fraction(above)).intoArray(out, at + i);
      } else {
        for (int j = i; j < i + WIDTH; j++) {
          out[at + j] = of(x[j]);
        }
      }
    }
    return i;
  }

  private static int loopFromEnds(float[] x, int from, int to) {
    int i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      FloatVector d = FloatVector.fromArray(SPECIES, x, i);
      IntVector above =
          all(1)
              .blend(0f, d.compare(VectorOperators.LT, 0))
              .sub(d)
              .reinterpretAsInts()
              .sub(ROOT_HALF);
      FloatVector n = exponent(above);
      FloatVector f = fraction(above).blend(d.neg(), n.compare(VectorOperators.EQ, 0));
      sum(n, f).neg().intoArray(x, i);
    }
    return i;
  }

  private static FloatVector exponent(IntVector above) {
    return (FloatVector)
        above
            .lanewise(VectorOperators.ASHR, MANTISSA_BITS)
            .convertShape(VectorOperators.I2F, SPECIES, 0);
  }

  private static FloatVector fraction(IntVector above) {
    return above.and(MANTISSA).add(ROOT_HALF).reinterpretAsFloats().sub(1);
  }

  private static FloatVector sum(FloatVector n, FloatVector f) {
    FloatVector p = f.fma(all(P7), all(P6));
    p = p.fma(f, all(P5));
    p = p.fma(f, all(P4));
    p = p.fma(f, all(P3));
    p = p.fma(f, all(P2));
    p = p.fma(f, all(P1));
    p = p.fma(f, all(P0));
    return n.fma(all(LN2), f.mul(f).fma(p.fma(f, all(-0.5f)), f));
  }

  private static FloatVector all(float value) {
    return FloatVector.broadcast(SPECIES, value);
  }
}
