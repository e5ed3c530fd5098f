package troupe.router.gate;

/** Which experts a mask kept for each token, a bit each. A token begins with a word of its own. */
public final class Kept {
  /** Experts of a word. */
  static final int BITS = Long.SIZE;

  private final int words;
  private final int stride;
  private final long[] word_TW;

  /** Keeps none so far. */
  Kept(int tokens, int experts) {
    words = words(experts);
    stride = words;
    word_TW = new long[Math.multiplyExact(tokens, words)];
  }

  private Kept(Kept kept, int k) {
    words = kept.words;
    stride = Math.multiplyExact(k, kept.stride);
    word_TW = kept.word_TW;
  }

  /** Words that hold a bit for each expert. */
  static int words(int experts) {
    return Math.ceilDiv(experts, BITS);
  }

  /** A view of every k-th: where slots have masks, that of the first slot of each token. */
  Kept every(int k) {
    return new Kept(this, k);
  }

  /** Whether a token may go to an expert. */
  public boolean has(int token, int expert) {
    return (word_TW[token * stride + expert / BITS] >>> expert & 1) != 0;
  }

  /** How many experts a token has. */
  int count(int token) {
    int count = 0;
    for (int w = token * stride; w < token * stride + words; w++) {
      count += Long.bitCount(word_TW[w]);
    }
    return count;
  }

  /** Keeps an expert for a token. */
  void keep(int token, int expert) {
    word_TW[token * stride + expert / BITS] |= 1L << expert;
  }

  /** Keeps those of 64 experts from {@code 64 * word} on whose bits are set. */
  void keep(int token, int word, long bits) {
    word_TW[token * stride + word] |= bits;
  }

  /** The bits of the experts from {@code 64 * word} on. */
  long word(int token, int word) {
    return word_TW[token * stride + word];
  }
}
