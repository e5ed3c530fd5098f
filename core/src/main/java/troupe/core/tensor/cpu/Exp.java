package troupe.core.tensor.cpu;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The exponential function and what is made of it, from IEEE operations alone. The JDK's own {@link
 * VectorOperators#EXP} gives other bits interpreted than compiled, and so would make a run depend
 * on when the compiler got to it.
 */
final class Exp {
  private static final float LOG2_E = (float) (1 / Math.log(2));
  // ln 2 in two parts: the first has few enough bits that its product with an exponent is exact.
  private static final float LN2_HIGH = 0.693359375f;
  private static final float LN2_LOW = (float) (Math.log(2) - LN2_HIGH);
  // Adding it rounds to a whole number, which is then in the lowest bits.
  private static final float ROUNDER = 0x1.8p23f;
  private static final int MANTISSA_BITS = 23;
  // Arguments beyond are taken for these, whose results are the smallest normal float and nearly
  // the largest.
  private static final float LOWEST = -87.33654f;
  private static final float HIGHEST = 88.72283f;
  // (exp(r) - 1 - r) / r^2 for |r| <= ln(2) / 2, from Cephes (expf.c), relative error 2e-7 in all.
  private static final float P0 = 1.9875691500e-4f;
  private static final float P1 = 1.3981999507e-3f;
  private static final float P2 = 8.3334519073e-3f;
  private static final float P3 = 4.1665795894e-2f;
  private static final float P4 = 1.6666665459e-1f;
  private static final float P5 = 5.0000001201e-1f;

  private Exp() {}

  /** {@code exp(x) = 2^n exp(r)} with {@code x = n ln 2 + r}. What is not a number stays so. */
  static FloatVector of(FloatVector argument) {
    // Clamped here rather than blended into the result: the derivative of GELU takes half the time
    // so.
    FloatVector x = argument.max(LOWEST).min(HIGHEST);
    FloatVector shifted = x.fma(Lanes.all(LOG2_E), Lanes.all(ROUNDER));
    FloatVector n = shifted.sub(ROUNDER);
    FloatVector r = n.fma(Lanes.all(-LN2_LOW), n.fma(Lanes.all(-LN2_HIGH), x));
    FloatVector p = r.fma(Lanes.all(P0), Lanes.all(P1));
    p = p.fma(r, Lanes.all(P2));
    p = p.fma(r, Lanes.all(P3));
    p = p.fma(r, Lanes.all(P4));
    p = p.fma(r, Lanes.all(P5));
    p = p.fma(r.mul(r), r).add(1);
    IntVector exponent = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, MANTISSA_BITS);
    return p.reinterpretAsInts().add(exponent).reinterpretAsFloats();
  }

  /** {@code 1 / (1 + exp(-x))}. */
  static FloatVector sigmoid(FloatVector x) {
    return Lanes.all(1).div(of(x.neg()).add(1));
  }
}
