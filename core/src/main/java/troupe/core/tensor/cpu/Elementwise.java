package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.Lanes.STEP;
import static troupe.core.tensor.cpu.Lanes.all;
import static troupe.core.tensor.cpu.Lanes.load;
import static troupe.core.tensor.cpu.Lanes.store;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/** Loops over all elements. */
final class Elementwise {
  private Elementwise() {}

  static void fill(long x, long count, float value) {
    FloatVector values = all(value);
    long end = x + Lanes.wholeBytes(count);
    for (; x < end; x += STEP) {
      store(values, x);
    }
    if (Lanes.hasTail(count)) {
      store(values, x, Lanes.tail(count));
    }
  }

  static void add(long out, long in, long count) {
    long end = out + Lanes.wholeBytes(count);
    for (; out < end; out += STEP, in += STEP) {
      store(load(out).add(load(in)), out);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(load(out, tail).add(load(in, tail)), out, tail);
    }
  }

  /** {@code out += factor * in}. */
  static void addScaled(long out, long in, long count, float factor) {
    FloatVector factors = all(factor);
    long end = out + Lanes.wholeBytes(count);
    for (; out < end; out += STEP, in += STEP) {
      store(load(in).fma(factors, load(out)), out);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(load(in, tail).fma(factors, load(out, tail)), out, tail);
    }
  }

  /** {@code out = a + b}. */
  static void sum(long out, long a, long b, long count) {
    long end = out + Lanes.wholeBytes(count);
    for (; out < end; out += STEP, a += STEP, b += STEP) {
      store(load(a).add(load(b)), out);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(load(a, tail).add(load(b, tail)), out, tail);
    }
  }

  static void multiply(long out, long a, long b, long count) {
    long end = out + Lanes.wholeBytes(count);
    for (; out < end; out += STEP, a += STEP, b += STEP) {
      store(load(a).mul(load(b)), out);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(load(a, tail).mul(load(b, tail)), out, tail);
    }
  }

  static void scale(long x, long count, float factor) {
    scaled(x, x, count, factor);
  }

  /** {@code out = factor * in}. */
  static void scaled(long out, long in, long count, float factor) {
    FloatVector factors = all(factor);
    long end = out + Lanes.wholeBytes(count);
    for (; out < end; out += STEP, in += STEP) {
      store(load(in).mul(factors), out);
    }
    if (Lanes.hasTail(count)) {
      VectorMask<Float> tail = Lanes.tail(count);
      store(load(in, tail).mul(factors), out, tail);
    }
  }
}
