package troupe.core.random;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.Log;

/**
 * Philox4x32-10 on vectors: a block a lane, a word in the lower half of a lane. Measured on two
 * cores of an EPYC with 4 lanes, shared with others: 0.9 ns a word, where {@link Philox#block}
 * takes 4 to 5; an exponential of a word 2 ns, where {@code Math.log} alone takes 9.
 */
final class PhiloxVectors {
  private static final VectorSpecies<Long> SPECIES = LongVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();
  static final int AT_ONCE = 2 * WIDTH;
  private static final long WORD = 0xFFFFFFFFL;
  private static final int WORD_BITS = 32;
  // A word in its lowest bits is added to it.
  private static final double HOLDER = 0x1p52;
  private static final long HOLDER_BITS = Double.doubleToRawLongBits(HOLDER);

  private PhiloxVectors() {}

  /**
   * As {@link Philox#words(long, int, int, int, long[])}, as far as pairs of vectors go; returns
   * how many blocks that is. Two vectors at a time, because one alone waits for its own products.
   * Upper halves are left as they come until the end: only products read them, and those clear them
   * first.
   */
  static int loopWords(long key, int c1, int c2, int count, long[] words) {
    LongVector word = all(WORD);
    LongVector m0 = all((long) Philox.MULTIPLIER_0 << WORD_BITS);
    LongVector m1 = all((long) Philox.MULTIPLIER_1 << WORD_BITS);
    int i = 0;
    for (; i <= count - AT_ONCE; i += AT_ONCE) {
      LongVector a0 = vector(words, i);
      LongVector a1 = all(c1);
      LongVector a2 = all(c2);
      LongVector a3 = vector(words, 3 * count + i);
      LongVector b0 = vector(words, i + WIDTH);
      LongVector b1 = all(c1);
      LongVector b2 = all(c2);
      LongVector b3 = vector(words, 3 * count + i + WIDTH);
      int k0 = (int) key;
      int k1 = (int) (key >>> WORD_BITS);
      for (int round = 0; round < Philox.ROUNDS; round++) {
        LongVector key0 = all(k0);
        LongVector key1 = all(k1);
        LongVector p0 = times(a0, m0, word);
        LongVector p1 = times(a2, m1, word);
        LongVector q0 = times(b0, m0, word);
        LongVector q1 = times(b2, m1, word);
        a0 = mixed(p1, a1, key0);
        a1 = p1;
        a2 = mixed(p0, a3, key1);
        a3 = p0;
        b0 = mixed(q1, b1, key0);
        b1 = q1;
        b2 = mixed(q0, b3, key1);
        b3 = q0;
        k0 += Philox.WEYL_0;
        k1 += Philox.WEYL_1;
      }
      cleared(a0).intoArray(words, i);
      cleared(b0).intoArray(words, i + WIDTH);
      a1.and(word).intoArray(words, count + i);
      b1.and(word).intoArray(words, count + i + WIDTH);
      cleared(a2).intoArray(words, 2 * count + i);
      cleared(b2).intoArray(words, 2 * count + i + WIDTH);
      a3.and(word).intoArray(words, 3 * count + i);
      b3.and(word).intoArray(words, 3 * count + i + WIDTH);
    }
    return i;
  }

  /**
   * Clears the upper halves of what the next product would read. By shifts: the compiler would see
   * the mask of {@link #times} in another one, move it out of the next round, and no longer know
   * there that one multiplication will do, which takes half as long again.
   */
  private static LongVector cleared(LongVector words) {
    return words
        .lanewise(VectorOperators.LSHL, WORD_BITS)
        .lanewise(VectorOperators.LSHR, WORD_BITS);
  }

  /**
   * The compiler knows that one multiplication of words will do, of numbers that are masked or were
   * shifted down; of a constant it does not.
   */
  private static LongVector times(LongVector words, LongVector multiplierAbove, LongVector word) {
    return words.and(word).mul(multiplierAbove.lanewise(VectorOperators.LSHR, WORD_BITS));
  }

  private static LongVector mixed(LongVector product, LongVector words, LongVector key) {
    return product
        .lanewise(VectorOperators.LSHR, WORD_BITS)
        .lanewise(VectorOperators.XOR, words.lanewise(VectorOperators.XOR, key));
  }

  /** As {@link Philox#uniforms}, by exact operations, as far as vectors go. */
  static int loopUniforms(double[] out, int at, long[] words, int from, int count) {
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      uniform(vector(words, from + i)).intoArray(out, at + i);
    }
    return i;
  }

  /** As {@link Philox#exponentials}, as far as vectors go. */
  static int loopExponentials(double[] out, int at, long[] words, int from, int count) {
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      Log.ordinary(uniform(vector(words, from + i))).neg().intoArray(out, at + i);
    }
    return i;
  }

  /** As {@link Philox#uniforms53}, by exact operations, as far as vectors go. */
  static int loopUniforms53(double[] out, int at, long[] words, int blocks, int count) {
    int i = 0;
    for (; i <= count - WIDTH; i += WIDTH) {
      LongVector low = vector(words, blocks + i).lanewise(VectorOperators.LSHR, 11);
      number(vector(words, i)).mul(0x1p-32).add(number(low).mul(0x1p-53)).intoArray(out, at + i);
    }
    return i;
  }

  private static DoubleVector number(LongVector words) {
    return words.or(HOLDER_BITS).reinterpretAsDoubles().sub(HOLDER);
  }

  private static DoubleVector uniform(LongVector words) {
    return words.or(HOLDER_BITS).reinterpretAsDoubles().sub(HOLDER - 0.5).mul(0x1p-32);
  }

  private static LongVector vector(long[] values, int at) {
    return LongVector.fromArray(SPECIES, values, at);
  }

  private static LongVector all(long value) {
    return LongVector.broadcast(SPECIES, value);
  }
}
