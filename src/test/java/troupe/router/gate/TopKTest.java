package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class TopKTest {
  private static int[] sorted(double[] row, int k) {
    return IntStream.range(0, row.length)
        .boxed()
        .sorted(Comparator.comparingDouble(e -> -row[e]))
        .limit(k)
        .mapToInt(e -> e)
        .toArray();
  }

  @Test
  void shouldSelectWhatASortWouldAndTheLowerNumberOnTies() {
    Random random = new Random(1);
    // Often enough for the compiler to take over from the interpreter.
    for (int repeat = 0; repeat < 5000; repeat++) {
      int experts = 1 + random.nextInt(70);
      int k = 1 + random.nextInt(Math.min(experts, 5));
      // Few values, so that many are alike; no negative zero, which a sort holds to be less.
      double[] row = random.doubles(experts, -4, 4).map(x -> Math.rint(x) + 0.0).toArray();
      double[] rows = new double[2 * experts];
      System.arraycopy(row, 0, rows, experts, experts);
      int[] best = new int[k + 1];
      TopK.selectFinite(rows, experts, experts, k, best, 1);
      assertArrayEquals(sorted(row, k), Arrays.copyOfRange(best, 1, k + 1));
    }
  }

  @Test
  void shouldNameALogitThatIsNotFiniteWhereverItIs() {
    int experts = 11;
    for (int e = 0; e < experts; e++) {
      for (double bad :
          new double[] {Double.NaN, Double.POSITIVE_INFINITY, Double.NEGATIVE_INFINITY}) {
        double[] logits = new double[3 * experts];
        logits[2 * experts + e] = bad;
        TopK.selectFinite(logits, experts, experts, 2, new int[2], 0);
        NonFiniteLogitsException exception =
            assertThrows(
                NonFiniteLogitsException.class,
                () -> TopK.selectFinite(logits, 2 * experts, experts, 2, new int[2], 0));
        assertEquals(new NonFiniteLogitsException(2, e, bad).getMessage(), exception.getMessage());
      }
    }
  }
}
