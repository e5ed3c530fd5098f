package troupe.router.gate;

import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.Exp;

/**
 * What gates do with one row, {@code [from, to)} of a row-major matrix. {@link Tile} does it
 * faster, for many rows.
 */
final class Rows {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final long[] BIT = new long[Long.SIZE];

  static {
    Arrays.setAll(BIT, e -> 1L << e);
  }

  /** Logits from which on a row is looked through by vectors. */
  private static final int LONG = 64;

  private Rows() {}

  /**
   * Fails unless {@code values_TE} has {@code tokens * experts} elements, at least one expert wide.
   */
  static void checkShape(double[] values_TE, int tokens, int experts) {
    if (experts < 1) {
      throw new IllegalArgumentException("experts: " + experts + " (expected: >= 1)");
    }
    if (tokens < 0 || values_TE.length != (long) tokens * experts) {
      throw new IllegalArgumentException(
          "logits: "
              + values_TE.length
              + " (expected: "
              + tokens
              + " tokens * "
              + experts
              + " experts)");
    }
  }

  /**
   * Index of the largest logit, the first one on ties.
   *
   * @throws NonFiniteLogitsException for any NaN or infinity in the row
   */
  static int argmaxFinite(double[] logits_TE, int from, int to) {
    if (to - from >= LONG) {
      return loopArgmax(logits_TE, from, to);
    }
    int best = from;
    double max = logits_TE[from];
    // Zero unless a logit is not finite: one test a row instead of one a logit.
    double poison = 0;
    for (int i = from; i < to; i++) {
      double logit = logits_TE[i];
      poison += logit * 0.0;
      if (logit > max) {
        max = logit;
        best = i;
      }
    }
    if (poison != 0) {
      throw nonFinite(logits_TE, from, to);
    }
    return best;
  }

  /** The same for rows that are worth vectors. */
  private static int loopArgmax(double[] logits_TE, int from, int to) {
    DoubleVector most = DoubleVector.broadcast(SPECIES, logits_TE[from]);
    DoubleVector poison = DoubleVector.zero(SPECIES);
    int i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      DoubleVector logits = vector(logits_TE, i);
      // Not max(): that looks after NaN and signed zeros, which the rest of this does anyway.
      most = most.blend(logits, logits.compare(VectorOperators.GT, most));
      poison = logits.fma(DoubleVector.zero(SPECIES), poison);
    }
    double max = most.reduceLanes(VectorOperators.MAX);
    double poisoned = poison.reduceLanes(VectorOperators.ADD);
    for (; i < to; i++) {
      max = Math.max(max, logits_TE[i]);
      poisoned += logits_TE[i] * 0.0;
    }
    if (poisoned != 0) {
      throw nonFinite(logits_TE, from, to);
    }
    int best = from;
    while (logits_TE[best] != max) {
      best++;
    }
    return best;
  }

  /** Names the first logit of a row that is not finite; there is one. */
  static NonFiniteLogitsException nonFinite(double[] logits_TE, int from, int to) {
    int i = from;
    while (Double.isFinite(logits_TE[i])) {
      i++;
    }
    int experts = to - from;
    return new NonFiniteLogitsException(from / experts, i - from, logits_TE[i]);
  }

  /** {@code p = softmax(logits)} of a row whose largest logit is {@code max}. */
  static void softmax(double[] p_TE, double[] logits_TE, double max, int from, int to) {
    for (int i = from; i < to; i++) {
      p_TE[i] = logits_TE[i] - max;
    }
    Exp.of(p_TE, p_TE, from, to);
    divideBySum(p_TE, from, to);
  }

  /**
   * {@code p = softmax(logits)} over the kept experts of a row; the others keep the zero they have.
   */
  static void softmaxKept(
      double[] p_TE, double[] logits_TE, Kept kept_TE, double max, int from, int to) {
    int experts = to - from;
    for (int i = from; i < to; i++) {
      if (kept_TE.has(from / experts, i - from)) {
        p_TE[i] = Exp.of(logits_TE[i] - max);
      }
    }
    divideBySum(p_TE, from, to);
  }

  private static void divideBySum(double[] p_TE, int from, int to) {
    double scale = 1 / sum(p_TE, from, to);
    for (int i = from; i < to; i++) {
      p_TE[i] *= scale;
    }
  }

  /**
   * Four sums side by side: an order that is fixed, and four times as fast as one after another.
   */
  private static double sum(double[] p_TE, int from, int to) {
    double a = 0;
    double b = 0;
    double c = 0;
    double d = 0;
    int i = from;
    for (; i <= to - 4; i += 4) {
      a += p_TE[i];
      b += p_TE[i + 1];
      c += p_TE[i + 2];
      d += p_TE[i + 3];
    }
    double sum = (a + b) + (c + d);
    for (; i < to; i++) {
      sum += p_TE[i];
    }
    return sum;
  }

  /** {@code d -= c p} of a row. */
  static void subtract(double[] d_TE, double c, double[] p_TE, int from, int to) {
    subtract(d_TE, from, c, p_TE, from, to - from);
  }

  /** {@code d -= c p} of a row of one matrix and a row of another. */
  static void subtract(double[] d, int atD, double c, double[] p, int atP, int experts) {
    int i = 0;
    for (; i <= experts - WIDTH; i += WIDTH) {
      vector(d, atD + i).sub(vector(p, atP + i).mul(c)).intoArray(d, atD + i);
    }
    for (; i < experts; i++) {
      d[atD + i] -= p[atP + i] * c;
    }
  }

  /** {@code d -= c p} of those of at most 64 experts that have a bit. */
  static void subtract(double[] d_TE, double c, double[] p_TE, long word, int from, int to) {
    if (Long.bitCount(word) <= (to - from) / 2) {
      for (long bits = word; bits != 0; bits &= bits - 1) {
        int i = from + Long.numberOfTrailingZeros(bits);
        d_TE[i] -= p_TE[i] * c;
      }
      return;
    }
    int i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      VectorMask<Double> kept =
          LongVector.fromArray(LONGS, BIT, i - from)
              .and(word)
              .compare(VectorOperators.NE, 0)
              .cast(SPECIES);
      vector(d_TE, i).sub(vector(p_TE, i).mul(c), kept).intoArray(d_TE, i);
    }
    for (; i < to; i++) {
      d_TE[i] -= (word >>> i - from & 1) * c * p_TE[i];
    }
  }

  /** {@code d -= c p u} of a row. */
  static void subtract(double[] d_TE, double c, double[] p_TE, double[] u_TE, int from, int to) {
    int i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      vector(d_TE, i).sub(vector(p_TE, i).mul(c).mul(vector(u_TE, i))).intoArray(d_TE, i);
    }
    for (; i < to; i++) {
      d_TE[i] -= p_TE[i] * c * u_TE[i];
    }
  }

  private static DoubleVector vector(double[] values_TE, int at) {
    return DoubleVector.fromArray(SPECIES, values_TE, at);
  }
}
