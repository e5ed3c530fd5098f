package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Adds what experts gave to the rows of their tokens, with omega and without. */
final class Combine {
  private Combine() {}

  static void forward(long x, long y, int[] tokenOfRow, double[] multiplier, int columns) {
    long stride = Lanes.bytes(columns);
    for (int r = 0; r < tokenOfRow.length; r++) {
      long row = x + tokenOfRow[r] * stride;
      Elementwise.addScaled(row, y + r * stride, columns, (float) multiplier[r]);
    }
  }

  static void forward(
      long x, long y, int[] tokenOfRow, double[] multiplier, long omega, int columns) {
    long stride = Lanes.bytes(columns);
    for (int r = 0; r < tokenOfRow.length; r++) {
      long row = x + tokenOfRow[r] * stride;
      addWeighted(row, y + r * stride, omega, (float) multiplier[r], columns);
    }
  }

  private static void addWeighted(long x, long y, long omega, float multiplier, int columns) {
    long end = x + Lanes.wholeBytes(columns);
    for (; x < end; x += STEP, y += STEP, omega += STEP) {
      store(load(omega).mul(multiplier).fma(load(y), load(x)), x);
    }
    if (Lanes.hasTail(columns)) {
      VectorMask<Float> tail = Lanes.tail(columns);
      store(load(omega, tail).mul(multiplier).fma(load(y, tail), load(x, tail)), x, tail);
    }
  }

  static void backward(
      long dY, long s, long dX, long y, int[] tokenOfRow, double[] multiplier, int columns) {
    long stride = Lanes.bytes(columns);
    for (int r = 0; r < tokenOfRow.length; r++) {
      long row = dX + tokenOfRow[r] * stride;
      Lanes.put(s + Lanes.bytes(r), Reduce.dot(row, y + r * stride, columns));
      Elementwise.scaled(dY + r * stride, row, columns, (float) multiplier[r]);
    }
  }

  static void backward(
      long dY,
      long s,
      long dOmega,
      long dX,
      long y,
      int[] tokenOfRow,
      double[] multiplier,
      long omega,
      int columns) {
    long stride = Lanes.bytes(columns);
    for (int r = 0; r < tokenOfRow.length; r++) {
      long row = dX + tokenOfRow[r] * stride;
      float factor = (float) multiplier[r];
      long at = r * stride;
      Lanes.put(
          s + Lanes.bytes(r), backwardRow(dY + at, dOmega, row, y + at, factor, omega, columns));
    }
  }

  private static float backwardRow(
      long dY, long dOmega, long dX, long y, float multiplier, long omega, int columns) {
    FloatVector sums = Lanes.all(0);
    long end = Lanes.wholeBytes(columns);
    for (long i = 0; i < end; i += STEP) {
      FloatVector g = load(dX + i);
      FloatVector product = g.mul(load(y + i));
      FloatVector weight = load(omega + i);
      sums = product.fma(weight, sums);
      store(product.fma(Lanes.all(multiplier), load(dOmega + i)), dOmega + i);
      store(g.mul(weight).mul(multiplier), dY + i);
    }
    if (Lanes.hasTail(columns)) {
      VectorMask<Float> tail = Lanes.tail(columns);
      FloatVector g = load(dX + end, tail);
      FloatVector product = g.mul(load(y + end, tail));
      FloatVector weight = load(omega + end, tail);
      sums = product.fma(weight, sums);
      store(product.fma(Lanes.all(multiplier), load(dOmega + end, tail)), dOmega + end, tail);
      store(g.mul(weight).mul(multiplier), dY + end, tail);
    }
    return Reduce.lanes(sums);
  }
}
