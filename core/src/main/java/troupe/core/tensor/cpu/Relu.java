package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;

/** {@code max(0, x)} and its derivative. */
final class Relu {
  private Relu() {}

  static void forward(long out, long pre, long count) {
    long end = out + Lanes.wholeBytes(count);
    for (; out < end; out += STEP, pre += STEP) {
      store(load(pre).max(0), out);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(load(pre, tail).max(0), out, tail);
    }
  }

  static void backward(long dPre, long dOut, long pre, long count) {
    long end = dPre + Lanes.wholeBytes(count);
    for (; dPre < end; dPre += STEP, dOut += STEP, pre += STEP) {
      store(derivative(load(dOut), load(pre)), dPre);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(derivative(load(dOut, tail), load(pre, tail)), dPre, tail);
    }
  }

  private static FloatVector derivative(FloatVector dOut, FloatVector x) {
    return Lanes.all(0).blend(dOut, x.compare(VectorOperators.GT, 0));
  }
}
