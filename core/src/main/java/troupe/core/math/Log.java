package troupe.core.math;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The natural logarithm of doubles, within one unit in the last place. {@code ln x = n ln 2 + ln(1
 * + f)} with {@code sqrt(1/2) <= 1 + f < sqrt(2)}, and with {@code s = f / (2 + f)}
 *
 * <pre>  ln(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2))</pre>
 *
 * <p>A vector computes what {@link #of(double)} computes, operation by operation, so a result
 * depends neither on the width of vectors nor on where in an array its argument is.
 *
 * <p>Source: FreeBSD msun, e_log.c (fdlibm), for the reduction and R.
 */
public final class Log {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  // ln 2 in two parts: the first has few enough bits that its product with n is exact.
  private static final double LN2_HIGH = 0x1.62e42feep-1;
  private static final double LN2_LOW = 0x1.a39ef35793c76p-33;
  private static final int MANTISSA_BITS = 52;
  private static final long MANTISSA = (1L << MANTISSA_BITS) - 1;
  private static final int BIAS = 1023;
  private static final long ONE = Double.doubleToRawLongBits(1);
  // Subtracting them from the bits of x makes the exponent that of the power of two next to x.
  private static final long ROOT_HALF = Double.doubleToRawLongBits(Math.sqrt(0.5));
  // A small whole number in its lowest bits is added to it.
  private static final double HOLDER = 0x1p52;
  private static final long HOLDER_BITS = Double.doubleToRawLongBits(HOLDER);
  private static final double R1 = 6.666666666666735130e-01;
  private static final double R2 = 3.999999999940941908e-01;
  private static final double R3 = 2.857142874366239149e-01;
  private static final double R4 = 2.222219843214978396e-01;
  private static final double R5 = 1.818357216161805012e-01;
  private static final double R6 = 1.531383769920937332e-01;
  private static final double R7 = 1.479819860511658591e-01;
  private static final int SUBNORMAL_SHIFT = 54;

  private Log() {}

  /** {@code ln x}; negative infinity for zero, NaN for what has no logarithm. */
  public static double of(double x) {
    if (x >= Double.MIN_NORMAL && x <= Double.MAX_VALUE) {
      return ordinary(x, 0);
    }
    if (x > 0) {
      return x < 1 ? ordinary(x * 0x1p54, SUBNORMAL_SHIFT) : x;
    }
    return x == 0 ? Double.NEGATIVE_INFINITY : Double.NaN;
  }

  /** {@code out[i] = ln x[i]} for i in {@code [from, to)}; may be the same array. */
  public static void of(double[] out, double[] x, int from, int to) {
    each(out, x, loopOf(out, x, from, to), to);
  }

  /** As far as whole vectors go; returns how far that is. */
  private static int loopOf(double[] out, double[] x, int from, int to) {
    int i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      DoubleVector argument = DoubleVector.fromArray(SPECIES, x, i);
      if (argument
          .compare(VectorOperators.GE, Double.MIN_NORMAL)
          .and(argument.compare(VectorOperators.LE, Double.MAX_VALUE))
          .allTrue()) {
        ordinary(argument).intoArray(out, i);
      } else {
        each(out, x, i, i + WIDTH);
      }
    }
    return i;
  }

  private static void each(double[] out, double[] x, int from, int to) {
    for (int i = from; i < to; i++) {
      out[i] = of(x[i]);
    }
  }

  /** The logarithm of a normal number {@code x / 2^shift}. */
  private static double ordinary(double x, int shift) {
    long above = Double.doubleToRawLongBits(x) - ROOT_HALF;
    double n = (double) (above >> MANTISSA_BITS) - shift;
    double f = Double.longBitsToDouble((above & MANTISSA) + ROOT_HALF) - 1;
    double s = f / (2 + f);
    double z = s * s;
    double r = Math.fma(z, R7, R6);
    r = Math.fma(r, z, R5);
    r = Math.fma(r, z, R4);
    r = Math.fma(r, z, R3);
    r = Math.fma(r, z, R2);
    r = Math.fma(r, z, R1);
    double half = 0.5 * f * f;
    double low = Math.fma(s, Math.fma(r, z, half), n * LN2_LOW);
    return Math.fma(n, LN2_HIGH, f - (half - low));
  }

  /**
   * {@code ln x} of lanes that are all positive normal numbers; the bits of {@link #of(double)}.
   */
  public static DoubleVector ordinary(DoubleVector x) {
    LongVector above = x.reinterpretAsLongs().sub(ROOT_HALF);
    // Biased so as not to be negative: there is no arithmetic shift of 64 bits before AVX-512.
    DoubleVector n =
        above
            .add((long) BIAS << MANTISSA_BITS)
            .lanewise(VectorOperators.LSHR, MANTISSA_BITS)
            .or(HOLDER_BITS)
            .reinterpretAsDoubles()
            .sub(HOLDER + BIAS);
    DoubleVector f = above.and(MANTISSA).add(ROOT_HALF).reinterpretAsDoubles().sub(1);
    DoubleVector s = f.div(f.add(2));
    DoubleVector z = s.mul(s);
    DoubleVector r = z.fma(all(R7), all(R6));
    r = r.fma(z, all(R5));
    r = r.fma(z, all(R4));
    r = r.fma(z, all(R3));
    r = r.fma(z, all(R2));
    r = r.fma(z, all(R1));
    DoubleVector half = f.mul(0.5).mul(f);
    DoubleVector low = s.fma(r.fma(z, half), n.mul(LN2_LOW));
    return n.fma(all(LN2_HIGH), f.sub(half.sub(low)));
  }

  private static DoubleVector all(double value) {
    return DoubleVector.broadcast(SPECIES, value);
  }
}
