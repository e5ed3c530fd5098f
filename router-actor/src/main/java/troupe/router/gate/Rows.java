package troupe.router.gate;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.Exp;

/**
 * What gates do with one row, {@code [from, to)} of a row-major matrix. {@link Tile} does it
 * faster, for many rows.
 */
final class Rows {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

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

  private static NonFiniteLogitsException nonFinite(double[] logits_TE, int from, int to) {
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
      double[] p_TE, double[] logits_TE, boolean[] kept_TE, double max, int from, int to) {
    for (int i = from; i < to; i++) {
      if (kept_TE[i]) {
        p_TE[i] = Exp.of(logits_TE[i] - max);
      }
    }
    divideBySum(p_TE, from, to);
  }

  private static void divideBySum(double[] p_TE, int from, int to) {
    double sum = 0;
    for (int i = from; i < to; i++) {
      sum += p_TE[i];
    }
    double scale = 1 / sum;
    for (int i = from; i < to; i++) {
      p_TE[i] *= scale;
    }
  }

  /** {@code d -= c p} of a row. */
  static void subtract(double[] d_TE, double c, double[] p_TE, int from, int to) {
    int i = from;
    for (; i <= to - WIDTH; i += WIDTH) {
      vector(d_TE, i).sub(vector(p_TE, i).mul(c)).intoArray(d_TE, i);
    }
    for (; i < to; i++) {
      d_TE[i] -= p_TE[i] * c;
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
