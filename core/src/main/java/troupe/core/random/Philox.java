package troupe.core.random;

import troupe.core.math.Log;

/**
 * Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as
 * 1, 2, 3" (SC 2011). A draw is a pure function of key and counter, cheap on CPUs and GPUs alike,
 * so work that is replayed or moved draws the same numbers.
 *
 * <p>The key is the seed of the run. The 128-bit counter is what the draw is for: {@code (index,
 * step, domain, lane)}.
 */
public final class Philox {
  static final int MULTIPLIER_0 = 0xD2511F53;
  static final int MULTIPLIER_1 = 0xCD9E8D57;
  static final int WEYL_0 = 0x9E3779B9;
  static final int WEYL_1 = 0xBB67AE85;
  static final int ROUNDS = 10;

  /** Blocks that are made at once: of a multiple of so many each takes the least time. */
  public static final int AT_ONCE = PhiloxVectors.AT_ONCE;

  private static final long WORD = 0xFFFFFFFFL;
  private static final double TWO_TO_MINUS_32 = 0x1p-32;
  private static final double TWO_TO_MINUS_53 = 0x1p-53;

  private Philox() {}

  /**
   * Writes the four words of block {@code (c0, c1, c2, c3)} under {@code key} to {@code out[offset
   * ..]}.
   */
  public static void block(long key, int c0, int c1, int c2, int c3, int[] out, int offset) {
    int k0 = (int) key;
    int k1 = (int) (key >>> 32);
    for (int round = 0; round < ROUNDS; round++) {
      long product0 = (MULTIPLIER_0 & 0xFFFFFFFFL) * (c0 & 0xFFFFFFFFL);
      long product1 = (MULTIPLIER_1 & 0xFFFFFFFFL) * (c2 & 0xFFFFFFFFL);
      c0 = (int) (product1 >>> 32) ^ c1 ^ k0;
      c1 = (int) product1;
      c2 = (int) (product0 >>> 32) ^ c3 ^ k1;
      c3 = (int) product0;
      k0 += WEYL_0;
      k1 += WEYL_1;
    }
    out[offset] = c0;
    out[offset + 1] = c1;
    out[offset + 2] = c2;
    out[offset + 3] = c3;
  }

  /** A word as a uniform number in the open interval (0, 1), with 32 bits of resolution. */
  public static double uniform(int word) {
    return ((word & 0xFFFFFFFFL) + 0.5) * TWO_TO_MINUS_32;
  }

  /** A word as an Exp(1) number: {@code -ln} of {@link #uniform}. */
  public static double exponential(int word) {
    return -Log.of(uniform(word));
  }

  /** Two words as a uniform number in [0, 1), with 53 bits of resolution. */
  public static double uniform53(int high, int low) {
    return ((((long) high << 32) | (low & 0xFFFFFFFFL)) >>> 11) * TWO_TO_MINUS_53;
  }

  /**
   * The four words of each of {@code count} blocks, as numbers that are not negative: {@code
   * words[w * count + i]} is word w of block {@code (c0 + i, c1, c2, c3)}.
   */
  public static void words(long key, int c0, int c1, int c2, int c3, int count, long[] words) {
    for (int i = 0; i < count; i++) {
      words[i] = c0 + i & WORD;
      words[3 * count + i] = c3 & WORD;
    }
    words(key, c1, c2, count, words);
  }

  /**
   * The same of blocks that are not in a row.
   *
   * @param words holds c0 of block i at i and c3 at {@code 3 * count + i}, as numbers that are not
   *     negative; gets the words
   */
  public static void words(long key, int c1, int c2, int count, long[] words) {
    int i = PhiloxVectors.loopWords(key, c1, c2, count, words);
    int[] block = i == count ? null : new int[4];
    for (; i < count; i++) {
      block(key, (int) words[i], c1, c2, (int) words[3 * count + i], block, 0);
      for (int w = 0; w < 4; w++) {
        words[w * count + i] = block[w] & WORD;
      }
    }
  }

  /**
   * {@link #uniform} of {@code count} words: {@code out[at + i]} is that of {@code words[from +
   * i]}.
   */
  public static void uniforms(double[] out, int at, long[] words, int from, int count) {
    int i = PhiloxVectors.loopUniforms(out, at, words, from, count);
    for (; i < count; i++) {
      out[at + i] = uniform((int) words[from + i]);
    }
  }

  /** {@link #exponential} of {@code count} words, as {@link #uniforms}. */
  public static void exponentials(double[] out, int at, long[] words, int from, int count) {
    int i = PhiloxVectors.loopExponentials(out, at, words, from, count);
    for (; i < count; i++) {
      out[at + i] = exponential((int) words[from + i]);
    }
  }

  /**
   * {@code out[at + i]} is {@link #uniform53} of words 0 and 1 of block i, for i below {@code
   * count}.
   *
   * @param words of {@code blocks} blocks, as {@link #words}
   */
  public static void uniforms53(double[] out, int at, long[] words, int blocks, int count) {
    int i = PhiloxVectors.loopUniforms53(out, at, words, blocks, count);
    for (; i < count; i++) {
      out[at + i] = uniform53((int) words[i], (int) words[blocks + i]);
    }
  }

  /** A 64-bit word that depends on the key and three 32-bit numbers. */
  public static long word64(long key, int c0, int c1, int c2) {
    int[] words = new int[4];
    block(key, c0, c1, c2, 0, words, 0);
    return ((long) words[0] << 32) | (words[1] & 0xFFFFFFFFL);
  }
}
