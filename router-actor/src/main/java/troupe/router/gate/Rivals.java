package troupe.router.gate;

import java.util.Arrays;
import troupe.core.math.Exp;

/**
 * The kept experts of those tokens of a {@link Tile} that have more than one, as a list. Where a
 * mask leaves few, making weights and draws of these alone is faster than of all. Nothing here
 * branches on a token: which ones have a choice, nobody can predict.
 */
final class Rivals {
  private final int[] token_R;
  private final int[] expert_R;
  // These begin at 1: at 0 is one that everybody beats.
  private final double[] weight_R;
  private final double[] draw_R;
  private final double[] sum_T;
  private final double[] factor_T;
  private final int[] winner_T;
  // Few experts have as many bits of a word, a power of two: one word for several tokens.
  private final int shift;
  private int size;

  /** Room for {@code most} of the tokens of a tile. */
  Rivals(int experts, int tokens, int most) {
    shift = Integer.SIZE - Integer.numberOfLeadingZeros(experts - 1);
    token_R = new int[most];
    expert_R = new int[most];
    weight_R = new double[most + 1];
    draw_R = new double[most + 1];
    draw_R[0] = 1;
    sum_T = new double[tokens];
    factor_T = new double[tokens];
    winner_T = new int[tokens];
  }

  /** How many fit. */
  int most() {
    return token_R.length;
  }

  /**
   * Takes the tokens that have more than one expert.
   *
   * @param word_WT bits of the experts of each token, 64 in a word
   * @param count_T how many each has
   */
  void list(long[] word_WT, int[] count_T) {
    size = 0;
    int perWord = Math.max(1, Kept.BITS >>> shift);
    for (int w = 0; w < word_WT.length; w += count_T.length) {
      for (int t = 0; t < count_T.length; t += perWord) {
        long bits = 0;
        for (int i = 0; i < perWord; i++) {
          // All ones where there is a choice.
          long choice = 1 - count_T[t + i] >> 31;
          bits |= (word_WT[w + t + i] & choice) << (i << shift);
        }
        add((t << shift) + w / count_T.length * Kept.BITS, bits);
      }
    }
    for (int i = 0; i < size; i++) {
      expert_R[i] = token_R[i] & (1 << shift) - 1;
      token_R[i] >>>= shift;
    }
  }

  private void add(int from, long bits) {
    long left = bits;
    int end = size + Long.bitCount(bits);
    for (int i = size; i < end; i++) {
      token_R[i] = from + Long.numberOfTrailingZeros(left);
      left &= left - 1;
    }
    size = end;
  }

  /**
   * Makes weights of logits, and their sums.
   *
   * @param x_ET logits, expert by expert
   * @param stride from one expert to the next
   * @param max_T the largest of each token
   */
  void weigh(double[] x_ET, int stride, double[] max_T) {
    for (int i = 0; i < size; i++) {
      int t = token_R[i];
      weight_R[i + 1] = x_ET[expert_R[i] * stride + t] - max_T[t];
    }
    Exp.of(weight_R, weight_R, 1, size + 1);
    sum();
  }

  /**
   * Takes weights that are there, and makes their sums.
   *
   * @param weight_ET expert by expert
   * @param stride from one expert to the next
   */
  void take(double[] weight_ET, int stride) {
    for (int i = 0; i < size; i++) {
      weight_R[i + 1] = weight_ET[expert_R[i] * stride + token_R[i]];
    }
    sum();
  }

  private void sum() {
    Arrays.fill(sum_T, 0);
    for (int i = 0; i < size; i++) {
      sum_T[token_R[i]] += weight_R[i + 1];
    }
    for (int t = 0; t < sum_T.length; t++) {
      factor_T[t] = 1 / sum_T[t];
    }
  }

  /** {@code p = weight / sum} for these tokens. */
  void divide(double[] weight_T, double[] p_T) {
    for (int i = 0; i < size; i++) {
      int t = token_R[i];
      p_T[t] = weight_T[t] / sum_T[t];
    }
  }

  /**
   * Writes probabilities to rows.
   *
   * @param row where the first token's begins
   * @param stride from one row to the next
   */
  void store(double[] p_TE, int row, int stride) {
    for (int i = 0; i < size; i++) {
      int t = token_R[i];
      p_TE[row + t * stride + expert_R[i]] = weight_R[i + 1] * factor_T[t];
    }
  }

  /** {@link Tile#race} among these; {@code chosen_T} of other tokens stays as it is. */
  void race(Draws draws, int firstToken, int round, double[] chosen_T) {
    if (size == 0) {
      return;
    }
    draws.exponentials(firstToken, token_R, expert_R, size, round, draw_R, 1);
    Arrays.fill(winner_T, 0);
    for (int i = 0; i < size; i++) {
      int t = token_R[i];
      int winner = winner_T[t];
      // Negative where draw / weight is less than the winner's.
      double later = weight_R[winner] * draw_R[i + 1] - weight_R[i + 1] * draw_R[winner];
      winner_T[t] = better(later, i + 1, winner);
    }
    for (int i = 0; i < size; i++) {
      int t = token_R[i];
      chosen_T[t] = expert_R[winner_T[t] - 1];
    }
  }

  /** The first if a number is negative, else the second, without a branch. */
  private static int better(double number, int first, int second) {
    int sign = (int) (Double.doubleToRawLongBits(number) >> 63);
    return second ^ (second ^ first) & sign;
  }
}
