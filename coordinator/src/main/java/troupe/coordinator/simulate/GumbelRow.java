package troupe.coordinator.simulate;

import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.FloatLog;
import troupe.core.random.Philox;

/**
 * Rows of independent Gumbel noise {@code g = -ln e}, {@code e = -ln(1 - u)}, each a pure function
 * of (seed, step, layer, purpose, index). The argmax of {@code ln w + noise} is i with probability
 * {@code w_i / sum w}, and the k largest are k draws without replacement: so logits of this form
 * give every gate that takes the best the very popularity that was asked for.
 *
 * <p>Floats will do: what wins has a small e, and a small e has all the digits of a float, down to
 * the {@code 2^-33} of the 32 bits that u is drawn with.
 *
 * <p>The counter of a block of Philox is {@code (b, index, layer and purpose, step)}, b from 0 to
 * B, the number of blocks of a row. Columns {@code 2 b} and {@code 2 b + 1} have words 0 and 2 of
 * it, columns {@code 2 B + 2 b} and {@code 2 B + 2 b + 1} words 1 and 3. Purposes stay below those
 * of {@link troupe.router.gate.CounterDraws}. An instance belongs to one thread.
 */
final class GumbelRow {
  /** A token's own noise. */
  static final int TOKEN = 0x10;

  /** What the tokens of a passage have in common. */
  static final int PASSAGE = 0x11;

  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final int WIDTH = LONGS.length();
  private static final int WORD_BITS = 32;

  private final long seed;
  private final int columns;
  private final int blocks;
  private final long[] words;
  private final float[] exponential;

  GumbelRow(long seed, int columns) {
    this.seed = seed;
    this.columns = columns;
    this.blocks = Math.ceilDiv(columns, 4);
    this.words = new long[4 * blocks];
    this.exponential = new float[4 * blocks];
  }

  /** {@code out[c] = -g} for every column: who adds it to something subtracts it. */
  void fill(float[] out, long step, int layer, int purpose, int index) {
    Philox.words(seed, 0, index, layer << 16 | purpose << 8, (int) step, blocks, words);
    // Loops of their own over what stays in the nearest cache: in one, they are more than the
    // compiler takes, and several times slower.
    int half = 2 * blocks;
    for (int i = loopEnds(exponential, words, half); i < half; i++) {
      exponential[2 * i] = end((int) words[i]);
      exponential[2 * i + 1] = end((int) words[half + i]);
    }
    FloatLog.minusFromEnds(exponential, 0, columns);
    FloatLog.of(out, exponential, 0, columns);
  }

  /**
   * A word as a uniform number u in (0, 1), by its distance from the nearer end: u, or where that
   * is more than 1/2, u - 1. With the word w as an unsigned number u is {@code (w + 1/2) / 2^32}.
   */
  static float end(int word) {
    float distance = ((word ^ word >> 31) + 0.5f) * 0x1p-32f;
    return word < 0 ? -distance : distance;
  }

  /** Ends of pairs of words that are {@code half} apart; returns how many pairs of them. */
  private static int loopEnds(float[] out, long[] words, int half) {
    int i = 0;
    for (; i <= half - WIDTH; i += WIDTH) {
      IntVector word =
          LongVector.fromArray(LONGS, words, i)
              .or(
                  LongVector.fromArray(LONGS, words, half + i)
                      .lanewise(VectorOperators.LSHL, WORD_BITS))
              .reinterpretAsInts();
      IntVector sign = word.lanewise(VectorOperators.ASHR, 31);
      FloatVector distance =
          ((FloatVector)
                  word.lanewise(VectorOperators.XOR, sign)
                      .convertShape(VectorOperators.I2F, FLOATS, 0))
              .add(0.5f)
              .mul(0x1p-32f);
      distance
          .reinterpretAsInts()
          .or(sign.and(1 << 31))
          .reinterpretAsFloats()
          .intoArray(out, 2 * i);
    }
    return i;
  }
}
