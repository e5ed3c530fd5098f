package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** The exponentials of a row relative to a reference point. */
final class Softmax {
  private Softmax() {}

  /** {@code out = exp(in - from)}; returns the sum. */
  static float exponentials(long out, long in, float from, long count) {
    FloatVector sums = Lanes.all(0);
    long end = out + Lanes.wholeBytes(count);
    for (; out < end; out += STEP, in += STEP) {
      FloatVector exponentials = Exp.of(load(in).sub(from));
      sums = sums.add(exponentials);
      store(exponentials, out);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      FloatVector exponentials = Exp.of(load(in, tail).sub(from));
      sums = sums.add(exponentials, tail);
      store(exponentials, out, tail);
    }
    return Reduce.lanes(sums);
  }

  /** The sum of {@code exp(in - from)}. */
  static float sumOfExponentials(long in, float from, long count) {
    FloatVector sums = Lanes.all(0);
    long end = in + Lanes.wholeBytes(count);
    for (; in < end; in += STEP) {
      sums = sums.add(Exp.of(load(in).sub(from)));
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      sums = sums.add(Exp.of(load(in, tail).sub(from)), tail);
    }
    return Reduce.lanes(sums);
  }

  /** {@code dP = scale * p * (dP - mean)}. */
  static void backward(long dP, long p, float mean, float scale, long count) {
    FloatVector scales = Lanes.all(scale);
    long end = dP + Lanes.wholeBytes(count);
    for (; dP < end; dP += STEP, p += STEP) {
      store(load(dP).sub(mean).mul(load(p)).mul(scales), dP);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(load(dP, tail).sub(mean).mul(load(p, tail)).mul(scales), dP, tail);
    }
  }
}
