package troupe.router.gate;

import java.util.Arrays;

/**
 * Which experts of a {@link Tile}'s tokens are left, and which of these a rule keeps: a bit each,
 * 64 experts in a word.
 */
final class Eligible {
  private final int experts;
  private final int capacity;
  private final int words;
  private final long[] left_WT;
  private final long[] kept_WT;
  private final int[] count_T;
  private final int[] token_R;
  private int choices;

  Eligible(int experts, int capacity) {
    this.experts = experts;
    this.capacity = capacity;
    words = Kept.words(experts);
    left_WT = new long[words * capacity];
    kept_WT = new long[words * capacity];
    count_T = new int[capacity];
    token_R = new int[capacity + 1];
    reset();
  }

  /** All experts are there. */
  void reset() {
    Arrays.fill(left_WT, -1);
  }

  /** Takes an expert away. */
  void remove(int t, int expert) {
    left_WT[expert / Kept.BITS * capacity + t] &= ~(1L << expert);
  }

  /**
   * Keeps what a rule keeps of those that are left.
   *
   * @param x_ET logits, expert by expert
   * @param max_T the largest one left
   * @param lanes tokens up to the end of a vector
   * @return how many rivals there are: experts of tokens that have more than one
   */
  int keep(MaskRule rule, double[] x_ET, double[] max_T, int tokens, int lanes) {
    for (int w = 0; w < words; w++) {
      int from = w * Kept.BITS;
      int count = Math.min(Kept.BITS, experts - from);
      rule.loopBits(x_ET, from * capacity, count, capacity, max_T, lanes, kept_WT, w * capacity);
    }
    int rivals = 0;
    choices = 0;
    for (int t = 0; t < tokens; t++) {
      int count = 0;
      for (int at = t; at < kept_WT.length; at += capacity) {
        kept_WT[at] &= left_WT[at];
        count += Long.bitCount(kept_WT[at]);
      }
      count_T[t] = count;
      // All ones where there is a choice: nobody can predict where.
      int choice = 1 - count >> 31;
      rivals += count & choice;
      token_R[choices] = t;
      choices -= choice;
    }
    Arrays.fill(count_T, tokens, capacity, 0);
    return rivals;
  }

  /** Tells which ones are kept: those of token t to {@code first + t * stride}. */
  void store(Kept kept, int first, int stride, int tokens) {
    for (int w = 0; w < words; w++) {
      for (int t = 0; t < tokens; t++) {
        kept.keep(first + t * stride, w, kept_WT[w * capacity + t]);
      }
    }
  }

  /** Bits of the kept experts: word w of token t at {@code w * capacity + t}. */
  long[] kept_WT() {
    return kept_WT;
  }

  /** How many are kept of each token. */
  int[] count_T() {
    return count_T;
  }

  /** The tokens that have more than one, the first {@link #choices}. */
  int[] token_R() {
    return token_R;
  }

  /** How many tokens have more than one. */
  int choices() {
    return choices;
  }
}
