package troupe.router.gate;

/** The best few experts of a token. */
final class TopK {
  private TopK() {}

  /**
   * Writes the experts with the k largest keys of a row to {@code out[at .. at + k)}, best first,
   * the lower number on ties. Takes O(k E): k is small.
   *
   * @param key_TE row-major; the row is {@code [from, from + experts)}, none of it NaN
   */
  static void select(double[] key_TE, int from, int experts, int k, int[] out, int at) {
    for (int slot = at; slot < at + k; slot++) {
      int best = -1;
      for (int e = 0; e < experts; e++) {
        if ((best < 0 || key_TE[from + e] > key_TE[from + best]) && !contains(out, at, slot, e)) {
          best = e;
        }
      }
      out[slot] = best;
    }
  }

  private static boolean contains(int[] experts, int from, int to, int expert) {
    for (int i = from; i < to; i++) {
      if (experts[i] == expert) {
        return true;
      }
    }
    return false;
  }
}
