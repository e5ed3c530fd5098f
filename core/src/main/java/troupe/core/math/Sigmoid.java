package troupe.core.math;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorOperators;

/**
 * The logistic function of doubles, {@code 1 / (1 + exp(-x))}, within three units in the last
 * place. What is further from zero than {@link Exp#ORDINARY} counts as that: the result is 1, or
 * 3e-308.
 *
 * <p>As in {@link Exp}, a vector computes what a number alone computes.
 */
public final class Sigmoid {
  private Sigmoid() {}

  /** The function of a number; what is not one stays so. */
  public static double of(double x) {
    return 1 / (1 + Exp.of(Math.clamp(-x, -Exp.ORDINARY, Exp.ORDINARY)));
  }

  /** The same of numbers. */
  public static DoubleVector of(DoubleVector x) {
    DoubleVector above = x.neg();
    // Not min() and max(): those look after NaN and signed zeros.
    above = above.blend(Exp.ORDINARY, above.compare(VectorOperators.GT, Exp.ORDINARY));
    above = above.blend(-Exp.ORDINARY, above.compare(VectorOperators.LT, -Exp.ORDINARY));
    DoubleVector one = DoubleVector.broadcast(x.species(), 1);
    return one.div(Exp.ordinary(above).add(one));
  }
}
