package troupe.core.math;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The exponential function of doubles, within one unit in the last place. {@code exp(x) = 2^n
 * exp(r)} with {@code x = n ln 2 + r}, and {@code exp(r) = 1 + r + r^2 P(r)}.
 *
 * <p>A vector computes what {@link #of(double)} computes, operation by operation, so a result
 * depends neither on the width of vectors nor on where in an array its argument is. {@link
 * Math#exp} would: its compiled form is one of the platform's.
 */
public final class Exp {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  private static final double LOG2_E = 0x1.71547652b82fep0;
  // ln 2 in two parts: the first has few enough bits that its product with n is exact.
  private static final double LN2_HIGH = 0x1.62e42feep-1;
  private static final double LN2_LOW = 0x1.a39ef35793c76p-33;
  // Adding it rounds to a whole number, which is then in the lowest bits.
  private static final double ROUNDER = 0x1.8p52;
  private static final int MANTISSA_BITS = 52;

  /** Arguments less than this from zero have normal numbers as results, in range. */
  public static final double ORDINARY = 708;

  // Below, results round to zero.
  private static final double LOWEST = -745.2;
  // (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, minimax by Remez' algorithm: relative error of
  // exp(r) 4e-18.
  private static final double P0 = 0x1.000000000000ap-1;
  private static final double P1 = 0x1.55555555554fap-3;
  private static final double P2 = 0x1.555555555087cp-5;
  private static final double P3 = 0x1.1111111127be5p-7;
  private static final double P4 = 0x1.6c16c1842a126p-10;
  private static final double P5 = 0x1.a01a012a57b5ep-13;
  private static final double P6 = 0x1.a0199a0c66195p-16;
  private static final double P7 = 0x1.71df255235e0bp-19;
  private static final double P8 = 0x1.28ad72cd4ab37p-22;
  private static final double P9 = 0x1.ad7f6f0e24922p-26;

  private Exp() {}

  /** {@code exp(x)}; what is not a number stays so. */
  public static double of(double x) {
    if (x < LOWEST) {
      return 0;
    }
    if (!(x < 1 - LOWEST)) {
      return x > 0 ? Double.POSITIVE_INFINITY : x;
    }
    double n = Math.fma(x, LOG2_E, ROUNDER) - ROUNDER;
    double r = Math.fma(n, -LN2_LOW, Math.fma(n, -LN2_HIGH, x));
    double p = Math.fma(r, P9, P8);
    p = Math.fma(p, r, P7);
    p = Math.fma(p, r, P6);
    p = Math.fma(p, r, P5);
    p = Math.fma(p, r, P4);
    p = Math.fma(p, r, P3);
    p = Math.fma(p, r, P2);
    p = Math.fma(p, r, P1);
    p = Math.fma(p, r, P0);
    return Math.scalb(Math.fma(p, r * r, r) + 1, (int) n);
  }

  /** {@code out[i] = exp(x[i])} for i in {@code [from, to)}; may be the same array. */
  public static void of(double[] out, double[] x, int from, int to) {
    each(out, x, loopOf(out, x, from, to), to);
  }

  /** As far as whole vectors go; returns how far that is. */
  private static int loopOf(double[] out, double[] x, int from, int to) {
    int i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      DoubleVector argument = DoubleVector.fromArray(SPECIES, x, i);
      if (argument.abs().compare(VectorOperators.LT, ORDINARY).allTrue()) {
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

  /**
   * {@code exp(x)} of lanes that are all within {@link #ORDINARY}; the bits of {@link #of(double)}.
   */
  public static DoubleVector ordinary(DoubleVector x) {
    DoubleVector shifted = x.fma(all(LOG2_E), all(ROUNDER));
    DoubleVector n = shifted.sub(ROUNDER);
    DoubleVector r = n.fma(all(-LN2_LOW), n.fma(all(-LN2_HIGH), x));
    DoubleVector p = r.fma(all(P9), all(P8));
    p = p.fma(r, all(P7));
    p = p.fma(r, all(P6));
    p = p.fma(r, all(P5));
    p = p.fma(r, all(P4));
    p = p.fma(r, all(P3));
    p = p.fma(r, all(P2));
    p = p.fma(r, all(P1));
    p = p.fma(r, all(P0));
    p = p.fma(r.mul(r), r).add(1);
    LongVector exponent =
        shifted.reinterpretAsLongs().lanewise(VectorOperators.LSHL, MANTISSA_BITS);
    return p.reinterpretAsLongs().add(exponent).reinterpretAsDoubles();
  }

  private static DoubleVector all(double value) {
    return DoubleVector.broadcast(SPECIES, value);
  }
}
