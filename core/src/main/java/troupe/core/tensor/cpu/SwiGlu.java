package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** {@code silu(a) b} of rows {@code [a | b]} and its derivatives. */
final class SwiGlu {
  private SwiGlu() {}

  static void forward(long out, long pre, int rows, int width) {
    long half = Lanes.bytes(width);
    for (int r = 0; r < rows; r++) {
      row(out + r * half, pre + 2 * r * half, pre + (2 * r + 1) * half, width);
    }
  }

  private static void row(long out, long a, long b, int width) {
    long end = out + Lanes.wholeBytes(width);
    for (; out < end; out += STEP, a += STEP, b += STEP) {
      FloatVector x = load(a);
      store(x.mul(load(b)).mul(Exp.sigmoid(x)), out);
    }
    if (Lanes.hasTail(width)) {
      VectorMask<Float> tail = Lanes.tail(width);
      FloatVector x = load(a, tail);
      store(x.mul(load(b, tail)).mul(Exp.sigmoid(x)), out, tail);
    }
  }

  static void backward(long dPre, long dOut, long pre, int rows, int width) {
    long half = Lanes.bytes(width);
    for (int r = 0; r < rows; r++) {
      rowBackward(dPre + 2 * r * half, dOut + r * half, pre + 2 * r * half, half, width);
    }
  }

  private static void rowBackward(long dPre, long dOut, long pre, long half, int width) {
    long end = dPre + Lanes.wholeBytes(width);
    for (; dPre < end; dPre += STEP, dOut += STEP, pre += STEP) {
      FloatVector x = load(pre);
      FloatVector dy = load(dOut);
      FloatVector gate = Exp.sigmoid(x);
      store(dGate(x, gate).mul(load(pre + half)).mul(dy), dPre);
      store(x.mul(gate).mul(dy), dPre + half);
    }
    if (Lanes.hasTail(width)) {
      VectorMask<Float> tail = Lanes.tail(width);
      FloatVector x = load(pre, tail);
      FloatVector dy = load(dOut, tail);
      FloatVector gate = Exp.sigmoid(x);
      store(dGate(x, gate).mul(load(pre + half, tail)).mul(dy), dPre, tail);
      store(x.mul(gate).mul(dy), dPre + half, tail);
    }
  }

  /** The derivative of silu, {@code s (1 + x (1-s))}. */
  private static FloatVector dGate(FloatVector x, FloatVector gate) {
    return x.mul(Lanes.all(1).sub(gate)).add(1).mul(gate);
  }
}
