package troupe.router.gate;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorShuffle;
import jdk.incubator.vector.VectorSpecies;

/**
 * Rows of experts turned into columns of tokens and back, four by four: half the time of one number
 * after the other.
 */
final class Transposition {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_256;
  private static final int SIDE = SPECIES.length();
  private static final boolean BY_VECTORS = DoubleVector.SPECIES_PREFERRED.length() >= SIDE;

  // Lanes of a vector that are exchanged with another one's.
  private static final VectorMask<Double> ODD = VectorMask.fromLong(SPECIES, 0b1010);
  private static final VectorMask<Double> EVEN = ODD.not();
  private static final VectorMask<Double> UPPER = VectorMask.fromLong(SPECIES, 0b1100);
  private static final VectorMask<Double> LOWER = UPPER.not();
  private static final VectorShuffle<Double> TO_ODD = VectorShuffle.fromValues(SPECIES, 0, 0, 2, 2);
  private static final VectorShuffle<Double> TO_EVEN =
      VectorShuffle.fromValues(SPECIES, 1, 1, 3, 3);
  private static final VectorShuffle<Double> HALVES = VectorShuffle.fromValues(SPECIES, 2, 3, 0, 1);

  private Transposition() {}

  /**
   * {@code out_ET[e * stride + t] = in_TE[from + t * experts + e]}.
   *
   * @param from where the first of {@code tokens} rows begins
   */
  static void toColumns(
      double[] out_ET, int stride, double[] in_TE, int from, int tokens, int experts) {
    int wholeTokens = BY_VECTORS ? tokens & -SIDE : 0;
    int wholeExperts = BY_VECTORS ? experts & -SIDE : 0;
    loopColumns(out_ET, stride, in_TE, from, wholeTokens, wholeExperts, experts);
    for (int t = 0; t < tokens; t++) {
      for (int e = t < wholeTokens ? wholeExperts : 0; e < experts; e++) {
        out_ET[e * stride + t] = in_TE[from + t * experts + e];
      }
    }
  }

  private static void loopColumns(
      double[] out_ET,
      int stride,
      double[] in_TE,
      int from,
      int wholeTokens,
      int wholeExperts,
      int experts) {
    for (int t = 0; t < wholeTokens; t += SIDE) {
      for (int e = 0; e < wholeExperts; e += SIDE) {
        int row0 = from + t * experts + e;
        int row1 = row0 + experts;
        int row2 = row1 + experts;
        int row3 = row2 + experts;
        // Halves change places as they are read: rows 2 and 3 are never the first of an array.
        DoubleVector lower0 = vector(in_TE, row0).blend(vector(in_TE, row2 - 2), UPPER);
        DoubleVector lower1 = vector(in_TE, row1).blend(vector(in_TE, row3 - 2), UPPER);
        DoubleVector upper0 = vector(in_TE, row0 + 2).blend(vector(in_TE, row2), UPPER);
        DoubleVector upper1 = vector(in_TE, row1 + 2).blend(vector(in_TE, row3), UPPER);
        int at = e * stride + t;
        lower0.blend(lower1.rearrange(TO_ODD), ODD).intoArray(out_ET, at);
        lower1.blend(lower0.rearrange(TO_EVEN), EVEN).intoArray(out_ET, at + stride);
        upper0.blend(upper1.rearrange(TO_ODD), ODD).intoArray(out_ET, at + 2 * stride);
        upper1.blend(upper0.rearrange(TO_EVEN), EVEN).intoArray(out_ET, at + 3 * stride);
      }
    }
  }

  /**
   * {@code out_TE[to + t * rowStride + e] = in_ET[e * stride + t] * factor_T[t]}.
   *
   * @param to where the first of {@code tokens} rows begins
   * @param rowStride from one row to the next
   */
  static void toRows(
      double[] out_TE,
      int to,
      int rowStride,
      double[] in_ET,
      int stride,
      double[] factor_T,
      int tokens,
      int experts) {
    int wholeTokens = BY_VECTORS ? tokens & -SIDE : 0;
    int wholeExperts = BY_VECTORS ? experts & -SIDE : 0;
    loopRows(out_TE, to, rowStride, in_ET, stride, factor_T, wholeTokens, wholeExperts);
    for (int t = 0; t < tokens; t++) {
      for (int e = t < wholeTokens ? wholeExperts : 0; e < experts; e++) {
        out_TE[to + t * rowStride + e] = in_ET[e * stride + t] * factor_T[t];
      }
    }
  }

  private static void loopRows(
      double[] out_TE,
      int to,
      int rowStride,
      double[] in_ET,
      int stride,
      double[] factor_T,
      int wholeTokens,
      int wholeExperts) {
    for (int t = 0; t < wholeTokens; t += SIDE) {
      DoubleVector factor = vector(factor_T, t);
      for (int e = 0; e < wholeExperts; e += SIDE) {
        int at = e * stride + t;
        DoubleVector column0 = vector(in_ET, at).mul(factor);
        DoubleVector column1 = vector(in_ET, at + stride).mul(factor);
        DoubleVector column2 = vector(in_ET, at + 2 * stride).mul(factor);
        DoubleVector column3 = vector(in_ET, at + 3 * stride).mul(factor);
        DoubleVector even0 = column0.blend(column1.rearrange(TO_ODD), ODD);
        DoubleVector odd0 = column1.blend(column0.rearrange(TO_EVEN), EVEN);
        DoubleVector even1 = column2.blend(column3.rearrange(TO_ODD), ODD);
        DoubleVector odd1 = column3.blend(column2.rearrange(TO_EVEN), EVEN);
        int row = to + t * rowStride + e;
        even0.blend(even1.rearrange(HALVES), UPPER).intoArray(out_TE, row);
        odd0.blend(odd1.rearrange(HALVES), UPPER).intoArray(out_TE, row + rowStride);
        even1.blend(even0.rearrange(HALVES), LOWER).intoArray(out_TE, row + 2 * rowStride);
        odd1.blend(odd0.rearrange(HALVES), LOWER).intoArray(out_TE, row + 3 * rowStride);
      }
    }
  }

  private static DoubleVector vector(double[] values, int at) {
    return DoubleVector.fromArray(SPECIES, values, at);
  }
}
