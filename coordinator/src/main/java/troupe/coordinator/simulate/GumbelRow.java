package troupe.coordinator.simulate;

import troupe.core.math.FloatLog;
import troupe.core.random.Philox;
import troupe.core.random.UniformEnds;

/**
 * Rows of independent Gumbel noise {@code g = -ln e}, {@code e = -ln(1 - u)}, each a pure function
 * of (seed, step, layer, purpose, index). The argmax of {@code ln w + noise} is i with probability
 * {@code w_i / sum w}, and the k largest are k draws without replacement: so logits of this form
 * give every gate that takes the best the very popularity that was asked for.
 *
 * <p>Floats will do: what wins has a small e, and a small e has all the digits of a float, down to
 * the {@code 2^-33} of the 32 bits that u is drawn with.
 *
 * <p>Columns are made in stretches of 256, the last as long as it is. The counter of block b of
 * Philox is {@code (b, index, layer and purpose, step)}; a stretch from column c on has blocks from
 * {@code c / 4} on. Let it have B of them: columns 2 i and 2 i + 1 of the stretch are words 0 and 2
 * of its block i for i below B, words 1 and 3 of its block {@code i - B} from there on. Purposes
 * stay below those of {@link troupe.router.gate.CounterDraws}. An instance belongs to one thread.
 */
final class GumbelRow {
  /** A token's own noise. */
  static final int TOKEN = 0x10;

  /** What the tokens of a passage have in common. */
  static final int PASSAGE = 0x11;

  // Columns that are made at once: they stay in the nearest cache however many there are. Not more
  // calls than that: with stretches of 64 a row takes a fifth longer.
  private static final int STRETCH = 256;

  private final long seed;
  private final int columns;
  private final long[] words;
  private final float[] exponential;

  GumbelRow(long seed, int columns) {
    this.seed = seed;
    this.columns = columns;
    this.words = new long[STRETCH];
    this.exponential = new float[STRETCH];
  }

  /**
   * {@code out[c] = -g} for every column: who adds it to something subtracts it. Loops of their own
   * for words, ends and both logarithms: in one they are more than the compiler takes, and several
   * times slower.
   */
  void fill(float[] out, long step, int layer, int purpose, int index) {
    int place = layer << 16 | purpose << 8;
    for (int from = 0; from < columns; from += STRETCH) {
      int count = Math.min(STRETCH, columns - from);
      int blocks = Math.ceilDiv(count, 4);
      Philox.words(seed, from / 4, index, place, (int) step, blocks, words);
      UniformEnds.ofPairs(exponential, words, 2 * blocks);
      FloatLog.minusFromEnds(exponential, 0, count);
      FloatLog.of(out, from, exponential, 0, count);
    }
  }
}
