package troupe.router.gate;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/** The best few experts of a token. */
final class TopK {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  private TopK() {}

  /**
   * Writes the experts with the k largest logits of a row to {@code out[at .. at + k)}, best first,
   * the lower number on ties. One look at each logit: few are among the best so far.
   *
   * @param logits_TE row-major; the row is {@code [from, from + experts)}
   * @throws NonFiniteLogitsException for any NaN or infinity in the row
   */
  static void selectFinite(double[] logits_TE, int from, int experts, int k, int[] out, int at) {
    if (selectAndPoison(logits_TE, from, experts, k, out, at) != 0) {
      throw Rows.nonFinite(logits_TE, from, from + experts);
    }
  }

  /** Selects; returns zero, or NaN if a key is not finite. */
  private static double selectAndPoison(
      double[] key_TE, int from, int experts, int k, int[] out, int at) {
    double poison = 0;
    for (int e = 0; e < k; e++) {
      insert(key_TE, from, e, out, at, e);
      poison += key_TE[from + e] * 0.0;
    }
    return poison + loopRest(key_TE, from, experts, k, out, at);
  }

  /** Experts from k on: vectors find the few that are better than the least of the best. */
  private static double loopRest(double[] key_TE, int from, int experts, int k, int[] out, int at) {
    int last = at + k - 1;
    DoubleVector poison = DoubleVector.zero(SPECIES);
    int e = k;
    for (; e <= experts - WIDTH; e += WIDTH) {
      double least = key_TE[from + out[last]];
      DoubleVector keys = DoubleVector.fromArray(SPECIES, key_TE, from + e);
      poison = keys.fma(DoubleVector.zero(SPECIES), poison);
      if (keys.compare(VectorOperators.GT, least).anyTrue()) {
        each(key_TE, from, e, e + WIDTH, k, out, at);
      }
    }
    each(key_TE, from, e, experts, k, out, at);
    double poisoned = poison.reduceLanes(VectorOperators.ADD);
    for (; e < experts; e++) {
      poisoned += key_TE[from + e] * 0.0;
    }
    return poisoned;
  }

  private static void each(
      double[] key_TE, int from, int first, int end, int k, int[] out, int at) {
    for (int e = first; e < end; e++) {
      if (key_TE[from + e] > key_TE[from + out[at + k - 1]]) {
        insert(key_TE, from, e, out, at, k - 1);
      }
    }
  }

  /** Puts an expert before those with smaller keys; what is at {@code slot} falls out. */
  private static void insert(double[] key_TE, int from, int expert, int[] out, int at, int slot) {
    int place = slot;
    while (place > 0 && key_TE[from + expert] > key_TE[from + out[at + place - 1]]) {
      out[at + place] = out[at + place - 1];
      place--;
    }
    out[at + place] = expert;
  }
}
