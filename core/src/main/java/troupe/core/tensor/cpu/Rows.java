package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Loops that treat a row as one thing: biases, embeddings, gather and scatter. */
final class Rows {
  /**
   * Rows summed before the result is stored: four streams is what the prefetcher follows with ease.
   */
  private static final int GROUP = 4;

  private Rows() {}

  static void addBias(long x, long bias, int rows, int columns) {
    long stride = Lanes.bytes(columns);
    for (int r = 0; r < rows; r++, x += stride) {
      Elementwise.add(x, bias, columns);
    }
  }

  /** Adds rows in row order. */
  static void sum(long out, long x, int rows, int columns) {
    long stride = Lanes.bytes(columns);
    int r = 0;
    for (; r + GROUP <= rows; r += GROUP, x += GROUP * stride) {
      addFour(out, x, stride, columns);
    }
    for (; r < rows; r++, x += stride) {
      Elementwise.add(out, x, columns);
    }
  }

  private static void addFour(long out, long x, long stride, int columns) {
    long end = out + Lanes.wholeBytes(columns);
    for (; out < end; out += STEP, x += STEP) {
      FloatVector sum = load(out).add(load(x)).add(load(x + stride));
      store(sum.add(load(x + 2 * stride)).add(load(x + 3 * stride)), out);
    }
    if (Lanes.hasTail(columns)) {
      VectorMask<Float> tail = Lanes.tail(columns);
      FloatVector sum = load(out, tail).add(load(x, tail)).add(load(x + stride, tail));
      sum = sum.add(load(x + 2 * stride, tail)).add(load(x + 3 * stride, tail));
      store(sum, out, tail);
    }
  }

  static void embed(long out, int[] tokens, long tok, long pos, int seq, int columns) {
    long stride = Lanes.bytes(columns);
    for (int t = 0; t < tokens.length; t++) {
      long token = tok + tokens[t] * stride;
      Elementwise.sum(out + t * stride, token, pos + t % seq * stride, columns);
    }
  }

  static void embedBackward(long dTok, long dPos, long dOut, int[] tokens, int seq, int columns) {
    long stride = Lanes.bytes(columns);
    for (int t = 0; t < tokens.length; t++) {
      Elementwise.add(dTok + tokens[t] * stride, dOut + t * stride, columns);
      Elementwise.add(dPos + t % seq * stride, dOut + t * stride, columns);
    }
  }

  static void gather(long out, long in, int[] rowOf, int columns) {
    long stride = Lanes.bytes(columns);
    for (int r = 0; r < rowOf.length; r++) {
      Lanes.copy(out + r * stride, in + rowOf[r] * stride, stride);
    }
  }

  static void scatterAdd(long out, long in, int[] rowOf, int columns) {
    long stride = Lanes.bytes(columns);
    for (int r = 0; r < rowOf.length; r++) {
      Elementwise.add(out + rowOf[r] * stride, in + r * stride, columns);
    }
  }
}
