package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorOperators;

/** The sum of squares in double precision, where the square of a float is exact. */
final class SumSquares {
  private SumSquares() {}

  static double of(long x, long count) {
    DoubleVector low = DoubleVector.zero(DoubleVector.SPECIES_PREFERRED);
    DoubleVector high = low;
    long end = x + Lanes.wholeBytes(count);
    for (; x < end; x += STEP) {
      FloatVector values = load(x);
      DoubleVector first = half(values, 0);
      DoubleVector second = half(values, 1);
      low = first.fma(first, low);
      high = second.fma(second, high);
    }
    if (Lanes.hasTail(count)) {
      FloatVector values = load(x, Lanes.tail(count));
      DoubleVector first = half(values, 0);
      DoubleVector second = half(values, 1);
      low = first.fma(first, low);
      high = second.fma(second, high);
    }
    // Lane by lane: the order in which a vector reduces itself is not defined.
    double sum = 0;
    for (double lane : low.add(high).toArray()) {
      sum += lane;
    }
    return sum;
  }

  private static DoubleVector half(FloatVector values, int part) {
    return (DoubleVector)
        values.convertShape(VectorOperators.F2D, DoubleVector.SPECIES_PREFERRED, part);
  }
}
