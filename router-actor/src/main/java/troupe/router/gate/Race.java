package troupe.router.gate;

import java.util.Arrays;
import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.LongVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.random.Philox;
import troupe.core.random.RoughExponential;

/**
 * {@link Tile#race} among all experts of a tile's tokens, in two steps: of rough draws in float,
 * twice as many a vector and without a logarithm's division; and once more, exactly, for the few
 * tokens where the first two are so close that these may be wrong. So the choice is that of {@link
 * Draws#exponential} and of weights in double, whatever the first step is made of.
 */
final class Race {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Long> LONGS = LongVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Integer> INTS = IntVector.SPECIES_PREFERRED;
  private static final VectorSpecies<Float> FLOATS = FloatVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();
  private static final int QUAD = 4;

  // Added to a probability, so that it fits a float. No expert with less than 1e-12 wins: the one
  // with the largest has more than 1/E, and draws are from 1e-10 to 23.
  private static final double LEAST = 0x1p-120;
  // From the bits of a double to those of a float, in the lower and in the upper half of a long.
  private static final int MANTISSA_BITS = 23;
  private static final int MANTISSA_SHIFT = 52 - MANTISSA_BITS;
  private static final long BIAS = (long) (1023 - 127) << MANTISSA_BITS;
  private static final int HALF = 32;
  private static final long LOWER = 0xFFFFFFFFL;
  private static final int SIGN_SHIFT = 31;

  private final int experts;
  private final int capacity;
  // Bits of a time that give way to the number of its expert.
  private final int numberBits;
  // Two times are known to be in this order if one is more than so many times the other.
  private final float clear;
  private final float[] draw_ER;
  // Sign-extended, in the lower halves: minus one where it is close.
  private final long[] chosen_R;

  Race(int experts, int capacity) {
    this.experts = experts;
    this.capacity = capacity;
    numberBits = (1 << Integer.SIZE - Integer.numberOfLeadingZeros(rows(experts) - 1)) - 1;
    // Weights and quotients are rounded too, by much less.
    clear = 1 + 4 * RoughExponential.ERROR + (float) numberBits / (1 << MANTISSA_BITS - 2);
    // Vectors of the last row may reach beyond it.
    draw_ER = new float[rows(experts) * capacity + FLOATS.length()];
    chosen_R = new long[capacity];
  }

  /** How many rows of weights there have to be: those of no expert are zero. */
  static int rows(int experts) {
    return Math.ceilDiv(experts, QUAD) * QUAD;
  }

  /**
   * Finds the first of clocks that run at the rates of weights.
   *
   * @param token_R tokens, counted from {@code firstToken}; the first {@code count} of them, and
   *     any after these
   * @param weight_ER row by row
   * @param factor_R what makes weights sum to one
   * @param chosen_T gets the expert of each of these tokens
   */
  void run(
      Draws draws,
      int firstToken,
      int[] token_R,
      int count,
      int round,
      double[] weight_ER,
      double[] factor_R,
      double[] chosen_T) {
    if (count == 0) {
      return;
    }
    // Of so many blocks at once each takes the least time.
    int stride = Math.ceilDiv(count, Philox.AT_ONCE) * Philox.AT_ONCE;
    boolean clear =
        draws.roughExponentials(firstToken, token_R, stride, experts, round, draw_ER)
            ? loopRough(count, stride, weight_ER, factor_R)
            : guessNone(count);
    if (!clear) {
      for (int i = 0; i < count; i++) {
        if ((int) chosen_R[i] < 0) {
          chosen_R[i] = first(draws, firstToken + token_R[i], i, round, weight_ER);
        }
      }
    }
    for (int i = 0; i < count; i++) {
      chosen_T[token_R[i]] = (int) chosen_R[i];
    }
  }

  private boolean guessNone(int count) {
    Arrays.fill(chosen_R, 0, count, -1);
    return false;
  }

  private int first(Draws draws, int token, int i, int round, double[] weight_ER) {
    double weight = 0;
    double draw = 1;
    int first = 0;
    for (int e = 0; e < experts; e++) {
      double w = weight_ER[e * capacity + i];
      double d = draws.exponential(token, e, round);
      // d / w < draw / weight, without a division.
      if (w * draw > weight * d) {
        weight = w;
        draw = d;
        first = e;
      }
    }
    return first;
  }

  /**
   * The same of rough draws. Lanes are pairs of experts of a token, e and e + 2. Times are
   * positive: their bits are in order as integers too.
   *
   * @param stride from one token's pair to its next one is two of these
   * @return whether it is close nowhere
   */
  private boolean loopRough(int count, int stride, double[] weight_ER, double[] factor_R) {
    int rows = rows(experts);
    IntVector anywhere = IntVector.zero(INTS);
    IntVector pairs = LongVector.broadcast(LONGS, 2L << HALF).reinterpretAsInts();
    for (int i = 0; i < count; i += WIDTH) {
      DoubleVector factor = DoubleVector.fromArray(SPECIES, factor_R, i);
      IntVector least = IntVector.broadcast(INTS, Integer.MAX_VALUE);
      IntVector second = least;
      for (int row = 0; 2 * row < rows; row++) {
        int e = row + (row & -2);
        int at = e * capacity + i;
        DoubleVector lower = probability(weight_ER, at, factor);
        DoubleVector upper = probability(weight_ER, at + 2 * capacity, factor);
        IntVector time =
            FloatVector.fromArray(FLOATS, draw_ER, 2 * (row * stride + i))
                .div(pair(lower, upper))
                .reinterpretAsInts()
                .and(~numberBits)
                .or(pairs.add(e));
        second = second.min(least.max(time));
        least = least.min(time);
      }
      IntVector partner = swapped(least);
      second = second.min(swapped(second)).min(least.max(partner));
      least = least.min(partner);
      IntVector close =
          second
              .sub(least.reinterpretAsFloats().mul(clear).reinterpretAsInts())
              .lanewise(VectorOperators.ASHR, SIGN_SHIFT);
      least.and(numberBits).or(close).reinterpretAsLongs().intoArray(chosen_R, i);
      anywhere = anywhere.or(close);
    }
    return anywhere.compare(VectorOperators.EQ, 0).allTrue();
  }

  private static DoubleVector probability(double[] weight_ER, int at, DoubleVector factor) {
    return DoubleVector.fromArray(SPECIES, weight_ER, at)
        .fma(factor, DoubleVector.broadcast(SPECIES, LEAST));
  }

  /** Doubles as floats, truncated: those of the first in the lower halves of lanes. */
  private static FloatVector pair(DoubleVector lower, DoubleVector upper) {
    LongVector low =
        lower.reinterpretAsLongs().lanewise(VectorOperators.LSHR, MANTISSA_SHIFT).sub(BIAS);
    LongVector high =
        upper
            .reinterpretAsLongs()
            .lanewise(VectorOperators.LSHL, HALF - MANTISSA_SHIFT)
            .sub(BIAS << HALF);
    return low.or(high.and(~LOWER)).reinterpretAsFloats();
  }

  private static IntVector swapped(IntVector pairs) {
    LongVector longs = pairs.reinterpretAsLongs();
    return longs
        .lanewise(VectorOperators.LSHL, HALF)
        .or(longs.lanewise(VectorOperators.LSHR, HALF))
        .reinterpretAsInts();
  }
}
