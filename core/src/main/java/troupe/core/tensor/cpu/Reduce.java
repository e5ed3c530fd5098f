package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;

/** Sums and maxima of a row; the order of additions depends on its length alone. */
final class Reduce {
  private static final VectorShuffle<Float> EIGHT_APART = apart(8);
  private static final VectorShuffle<Float> FOUR_APART = apart(4);
  private static final VectorShuffle<Float> TWO_APART = apart(2);

  private Reduce() {}

  /**
   * The sum of all lanes, always halved from the outside in. The JDK's own {@link
   * FloatVector#reduceLanes} may add in any order, and so may give other bits compiled than
   * interpreted.
   */
  static float lanes(FloatVector sums) {
    if (Lanes.WIDTH > 8) {
      sums = sums.add(sums.rearrange(EIGHT_APART));
    }
    if (Lanes.WIDTH > 4) {
      sums = sums.add(sums.rearrange(FOUR_APART));
    }
    if (Lanes.WIDTH > 2) {
      sums = sums.add(sums.rearrange(TWO_APART));
    }
    return sums.lane(0) + sums.lane(1);
  }

  static float sum(long x, long count) {
    FloatVector sums = Lanes.all(0);
    long end = x + Lanes.wholeBytes(count);
    for (; x < end; x += STEP) {
      sums = sums.add(load(x));
    }
    if (Lanes.hasTail(count)) {
      sums = sums.add(load(x, Lanes.tail(count)));
    }
    return lanes(sums);
  }

  static float sumSquaredDifferences(long x, float from, long count) {
    FloatVector sums = Lanes.all(0);
    long end = x + Lanes.wholeBytes(count);
    for (; x < end; x += STEP) {
      FloatVector difference = load(x).sub(from);
      sums = difference.fma(difference, sums);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      FloatVector difference = load(x, tail).sub(Lanes.all(from), tail);
      sums = difference.fma(difference, sums);
    }
    return lanes(sums);
  }

  static float dot(long a, long b, long count) {
    FloatVector sums = Lanes.all(0);
    long end = a + Lanes.wholeBytes(count);
    for (; a < end; a += STEP, b += STEP) {
      sums = load(a).fma(load(b), sums);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      sums = load(a, tail).fma(load(b, tail), sums);
    }
    return lanes(sums);
  }

  /** The largest of at least one element. */
  static float max(long x, long count) {
    FloatVector largest = Lanes.all(Float.NEGATIVE_INFINITY);
    long end = x + Lanes.wholeBytes(count);
    for (; x < end; x += STEP) {
      largest = largest.max(load(x));
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      largest = largest.lanewise(VectorOperators.MAX, load(x, tail), tail);
    }
    return largest.reduceLanes(VectorOperators.MAX);
  }

  private static VectorShuffle<Float> apart(int distance) {
    return VectorShuffle.fromOp(Lanes.SPECIES, lane -> (lane ^ distance) & (Lanes.WIDTH - 1));
  }
}
