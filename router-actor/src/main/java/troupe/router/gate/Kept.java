package troupe.router.gate;

/** Which experts a mask kept for each token, a bit each. A token begins with a word of its own. */
public final class Kept {
  /** Experts of a word. */
  static final int BITS = Long.SIZE;

  private final int words;
  private final long[] word_TW;

  /** Keeps none so far. */
  Kept(int tokens, int experts) {
    words = words(experts);
    word_TW = new long[Math.multiplyExact(tokens, words)];
  }

  /** Words that hold a bit for each expert. */
  static int words(int experts) {
    return Math.ceilDiv(experts, BITS);
  }

  /** Whether a token may go to an expert. */
  public boolean has(int token, int expert) {
    return (word_TW[token * words + expert / BITS] >>> expert & 1) != 0;
  }

  /** How many experts a token has. */
  int count(int token) {
    int count = 0;
    for (int w = token * words; w < (token + 1) * words; w++) {
      count += Long.bitCount(word_TW[w]);
    }
    return count;
  }

  /** Keeps an expert for a token. */
  void keep(int token, int expert) {
    word_TW[token * words + expert / BITS] |= 1L << expert;
  }

  /** Keeps those of 64 experts from {@code 64 * word} on whose bits are set. */
  void keep(int token, int word, long bits) {
    word_TW[token * words + word] |= bits;
  }
}
