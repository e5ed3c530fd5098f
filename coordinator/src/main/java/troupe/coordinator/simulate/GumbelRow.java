package troupe.coordinator.simulate;

import troupe.core.math.Log;
import troupe.core.random.Philox;

/**
 * Rows of independent Gumbel noise {@code -ln(-ln u)}, each a pure function of (seed, step, layer,
 * purpose, index). The argmax of {@code ln w + noise} is i with probability {@code w_i / sum w},
 * and the k largest are k draws without replacement: so logits of this form give every gate that
 * takes the best the very popularity that was asked for.
 *
 * <p>The counter of a block of Philox is {@code (column mod B, index, layer and purpose, step)}
 * with B blocks a row, word {@code column / B}. Purposes stay below those of {@link
 * troupe.router.gate.CounterDraws}. An instance belongs to one thread.
 */
final class GumbelRow {
  /** A token's own noise. */
  static final int TOKEN = 0x10;

  /** What the tokens of a passage have in common. */
  static final int PASSAGE = 0x11;

  private final long seed;
  private final int columns;
  private final int blocks;
  private final long[] words;

  GumbelRow(long seed, int columns) {
    this.seed = seed;
    this.columns = columns;
    this.blocks = Math.ceilDiv(columns, 4);
    this.words = new long[4 * blocks];
  }

  /** {@code out[from + c] = noise} for every column. */
  void fill(double[] out, int from, long step, int layer, int purpose, int index) {
    Philox.words(seed, 0, index, layer << 16 | purpose << 8, (int) step, blocks, words);
    // Word w of block b is column w * blocks + b, so words are in the order of columns.
    Philox.exponentials(out, from, words, 0, columns);
    Log.of(out, out, from, from + columns);
    for (int i = from; i < from + columns; i++) {
      out[i] = -out[i];
    }
  }
}
