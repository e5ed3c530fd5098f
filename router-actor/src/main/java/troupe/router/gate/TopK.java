package troupe.router.gate;

/** The best few experts of a token. */
final class TopK {
  private TopK() {}

  /**
   * Writes the experts with the k largest keys of a row to {@code out[at .. at + k)}, best first,
   * the lower number on ties. One look at each key: few are among the best so far.
   *
   * @param key_TE row-major; the row is {@code [from, from + experts)}, none of it NaN
   */
  static void select(double[] key_TE, int from, int experts, int k, int[] out, int at) {
    int found = 0;
    double least = Double.NEGATIVE_INFINITY;
    for (int e = 0; e < experts; e++) {
      double key = key_TE[from + e];
      if (found == k && !(key > least)) {
        continue;
      }
      int slot = found < k ? found++ : k - 1;
      while (slot > 0 && key > key_TE[from + out[at + slot - 1]]) {
        out[at + slot] = out[at + slot - 1];
        slot--;
      }
      out[at + slot] = e;
      least = key_TE[from + out[at + found - 1]];
    }
  }
}
