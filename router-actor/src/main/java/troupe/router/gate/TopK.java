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
   * Writes the experts with the k largest keys of a row to {@code out[at .. at + k)}, best first,
   * the lower number on ties. One look at each key: few are among the best so far.
   *
   * @param key_TE row-major; the row is {@code [from, from + experts)}, none of it NaN
   */
  static void select(double[] key_TE, int from, int experts, int k, int[] out, int at) {
    for (int e = 0; e < k; e++) {
      insert(key_TE, from, e, out, at, e);
    }
    loopRest(key_TE, from, experts, k, out, at);
  }

  /** Experts from k on: vectors find the few that are better than the least of the best. */
  private static void loopRest(double[] key_TE, int from, int experts, int k, int[] out, int at) {
    int last = at + k - 1;
    int e = k;
    for (; e <= experts - WIDTH; e += WIDTH) {
      double least = key_TE[from + out[last]];
      DoubleVector keys = DoubleVector.fromArray(SPECIES, key_TE, from + e);
      if (keys.compare(VectorOperators.GT, least).anyTrue()) {
        each(key_TE, from, e, e + WIDTH, k, out, at);
      }
    }
    each(key_TE, from, e, experts, k, out, at);
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
