package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * Layer norm (Ba et al., arXiv 1607.06450). A row stays in the first-level cache over the passes.
 */
final class LayerNorm {
  private LayerNorm() {}

  static void forward(
      long out,
      long mean,
      long rstd,
      long x,
      long gain,
      long bias,
      int rows,
      int columns,
      double epsilon) {
    long stride = Lanes.bytes(columns);
    for (int t = 0; t < rows; t++) {
      long row = x + t * stride;
      float average = Reduce.sum(row, columns) / columns;
      float variance = Reduce.sumSquaredDifferences(row, average, columns) / columns;
      float scale = (float) (1 / Math.sqrt(variance + epsilon));
      normalize(out + t * stride, row, average, scale, gain, bias, columns);
      Lanes.put(mean + Lanes.bytes(t), average);
      Lanes.put(rstd + Lanes.bytes(t), scale);
    }
  }

  private static void normalize(
      long out, long x, float mean, float rstd, long gain, long bias, int columns) {
    FloatVector scale = Lanes.all(rstd);
    long end = out + Lanes.wholeBytes(columns);
    for (; out < end; out += STEP, x += STEP, gain += STEP, bias += STEP) {
      store(load(x).sub(mean).mul(scale).fma(load(gain), load(bias)), out);
    }
    if (Lanes.hasTail(columns)) {
      VectorMask<Float> tail = Lanes.tail(columns);
      FloatVector normal = load(x, tail).sub(mean).mul(scale);
      store(normal.fma(load(gain, tail), load(bias, tail)), out, tail);
    }
  }

  /**
   * With {@code n = (x - mean) rstd} and {@code g = dOut * gain}: {@code dX += rstd (g - average(g)
   * - n average(g n))}.
   */
  static void backward(
      long dX,
      long dGain,
      long dBias,
      long dOut,
      long x,
      long mean,
      long rstd,
      long gain,
      int rows,
      int columns) {
    long stride = Lanes.bytes(columns);
    for (int t = 0; t < rows; t++) {
      float average = Lanes.get(mean + Lanes.bytes(t));
      float scale = Lanes.get(rstd + Lanes.bytes(t));
      long at = t * stride;
      backwardRow(dX + at, dGain, dBias, dOut + at, x + at, average, scale, gain, columns);
    }
  }

  private static void backwardRow(
      long dX,
      long dGain,
      long dBias,
      long dOut,
      long x,
      float mean,
      float rstd,
      long gain,
      int columns) {
    FloatVector sums = Lanes.all(0);
    FloatVector weighted = Lanes.all(0);
    long end = Lanes.wholeBytes(columns);
    for (long i = 0; i < end; i += STEP) {
      FloatVector dy = load(dOut + i);
      FloatVector normal = load(x + i).sub(mean).mul(rstd);
      FloatVector g = dy.mul(load(gain + i));
      sums = sums.add(g);
      weighted = g.fma(normal, weighted);
      store(dy.fma(normal, load(dGain + i)), dGain + i);
      store(dy.add(load(dBias + i)), dBias + i);
    }
    if (Lanes.hasTail(columns)) {
      VectorMask<Float> tail = Lanes.tail(columns);
      FloatVector dy = load(dOut + end, tail);
      FloatVector normal = load(x + end, tail).sub(mean).mul(rstd);
      // Lanes beyond the row are zero in dy, so they add nothing.
      FloatVector g = dy.mul(load(gain + end, tail));
      sums = sums.add(g);
      weighted = g.fma(normal, weighted);
      store(dy.fma(normal, load(dGain + end, tail)), dGain + end, tail);
      store(dy.add(load(dBias + end, tail)), dBias + end, tail);
    }
    float shift = Reduce.lanes(sums) / columns;
    float slope = Reduce.lanes(weighted) / columns;
    for (long i = 0; i < end; i += STEP) {
      FloatVector normal = load(x + i).sub(mean).mul(rstd);
      FloatVector g = load(dOut + i).mul(load(gain + i));
      store(inputGradient(g, normal, shift, slope).fma(Lanes.all(rstd), load(dX + i)), dX + i);
    }
    if (Lanes.hasTail(columns)) {
      VectorMask<Float> tail = Lanes.tail(columns);
      FloatVector normal = load(x + end, tail).sub(mean).mul(rstd);
      FloatVector g = load(dOut + end, tail).mul(load(gain + end, tail));
      FloatVector gradient = inputGradient(g, normal, shift, slope);
      store(gradient.fma(Lanes.all(rstd), load(dX + end, tail)), dX + end, tail);
    }
  }

  private static FloatVector inputGradient(
      FloatVector g, FloatVector normal, float shift, float slope) {
    return normal.fma(Lanes.all(-slope), g).sub(shift);
  }
}
