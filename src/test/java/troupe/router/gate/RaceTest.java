package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Races by rough draws against those by exact ones. */
class RaceTest {
  private static final int CAPACITY = 32;

  /** What was asked for exactly. */
  private static final class Asked implements SomeDraws {
    private final Draws draws;
    private long exactly;

    Asked(Draws draws) {
      this.draws = draws;
    }

    @Override
    public double exponential(int token, int expert, int round) {
      exactly++;
      return draws.exponential(token, expert, round);
    }

    @Override
    public boolean roughExponentials(
        int firstToken, int[] token_R, int count, int experts, int round, float[] out) {
      return draws.roughExponentials(firstToken, token_R, count, experts, round, out);
    }
  }

  private static int first(double[] weight_E, Draws draws, int token, int round) {
    int first = 0;
    for (int e = 1; e < weight_E.length; e++) {
      double draw = draws.exponential(token, first, round);
      if (weight_E[e] * draw > weight_E[first] * draws.exponential(token, e, round)) {
        first = e;
      }
    }
    return first;
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 8, 17, 64, 300})
  void shouldChooseAsExactDrawsDo(int experts) {
    Random random = new Random(experts);
    Race race = new Race(experts, CAPACITY);
    double[] weight_ER = new double[Race.rows(experts) * CAPACITY];
    double[] factor_R = new double[CAPACITY];
    double[] chosen_T = new double[2 * CAPACITY];
    long races = 0;
    long exactly = 0;
    for (int repeat = 0; repeat < 300; repeat++) {
      // Now and then over a carry into the upper bits of the token's number.
      long first = repeat % 10 == 0 ? (1L << 32) - 20 : 1000 * repeat;
      Draws draws = new CounterDraws(7, repeat, 3, first);
      Asked asked = new Asked(draws);
      int count = random.nextInt(CAPACITY + 1);
      int[] token_R =
          Arrays.copyOf(random.ints(0, 2 * CAPACITY).distinct().limit(count).toArray(), CAPACITY);
      double spread = repeat % 3 == 0 ? 600 : 3;
      for (int i = 0; i < count; i++) {
        double sum = 0;
        for (int e = 0; e < experts; e++) {
          boolean has = random.nextInt(5) > 0 || e == experts - 1;
          double weight = has ? Math.exp(-spread * random.nextDouble()) : 0;
          weight_ER[e * CAPACITY + i] = weight;
          sum += weight;
        }
        factor_R[i] = 1 / sum;
      }
      Arrays.fill(chosen_T, -5);
      race.run(asked, 2, token_R, count, 1, weight_ER, factor_R, chosen_T);
      exactly += repeat % 10 == 0 ? 0 : asked.exactly;
      races += count;
      for (int i = 0; i < count; i++) {
        double[] weight_E = new double[experts];
        for (int e = 0; e < experts; e++) {
          weight_E[e] = weight_ER[e * CAPACITY + i];
        }
        assertEquals(first(weight_E, draws, 2 + token_R[i], 1), chosen_T[token_R[i]]);
      }
      assertEquals(2 * CAPACITY - count, Arrays.stream(chosen_T).filter(c -> c == -5).count());
    }
    assertTrue(exactly < 0.01 * races * experts, exactly + " draws were exact");
  }
}
