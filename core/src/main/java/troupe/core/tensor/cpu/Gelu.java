package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * GELU in its tanh form (Hendrycks and Gimpel, arXiv 1606.08415), written as {@code x s(2u)} with
 * the logistic function s: {@code 0.5 (1 + tanh u) = s(2u)}.
 */
final class Gelu {
  // -2u = x (LINEAR + CUBIC x^2)
  private static final float LINEAR = (float) (-2 * Math.sqrt(2 / Math.PI));
  private static final float CUBIC = (float) (-2 * Math.sqrt(2 / Math.PI) * 0.044715);

  private Gelu() {}

  static void forward(long out, long pre, long count) {
    long end = out + Lanes.wholeBytes(count);
    for (; out < end; out += STEP, pre += STEP) {
      store(value(load(pre)), out);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(value(load(pre, tail)), out, tail);
    }
  }

  static void backward(long dPre, long dOut, long pre, long count) {
    long end = dPre + Lanes.wholeBytes(count);
    for (; dPre < end; dPre += STEP, dOut += STEP, pre += STEP) {
      store(derivative(load(pre)).mul(load(dOut)), dPre);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(derivative(load(pre, tail)).mul(load(dOut, tail)), dPre, tail);
    }
  }

  private static FloatVector value(FloatVector x) {
    FloatVector exponent = x.mul(x).fma(Lanes.all(CUBIC), Lanes.all(LINEAR)).mul(x);
    return x.div(Exp.of(exponent).add(1));
  }

  /** {@code s + x s (1-s) (2u)'} with {@code (2u)' = -(LINEAR + 3 CUBIC x^2)}. */
  private static FloatVector derivative(FloatVector x) {
    FloatVector square = x.mul(x);
    FloatVector exponent = square.fma(Lanes.all(CUBIC), Lanes.all(LINEAR)).mul(x);
    FloatVector gate = Lanes.all(1).div(Exp.of(exponent).add(1));
    FloatVector inner = square.fma(Lanes.all(-3 * CUBIC), Lanes.all(-LINEAR));
    return x.mul(Lanes.all(1).sub(gate)).mul(inner).add(1).mul(gate);
  }
}
