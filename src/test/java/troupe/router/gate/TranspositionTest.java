package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TranspositionTest {
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 4, 5, 8, 11, 64})
  void shouldTurnRowsIntoColumnsAndBack(int experts) {
    Random random = new Random(experts);
    for (int tokens = 0; tokens <= 17; tokens++) {
      // The first row is that of an array as well as not.
      for (int from : new int[] {0, 3}) {
        int stride = tokens + random.nextInt(3);
        double[] rows_TE = random.doubles(from + tokens * experts).toArray();
        double[] factor_T = random.doubles(tokens).toArray();
        double[] columns_ET = new double[experts * stride];
        double[] back_TE = new double[rows_TE.length];
        Transposition.toColumns(columns_ET, stride, rows_TE, from, tokens, experts);
        Transposition.toRows(back_TE, from, experts, columns_ET, stride, factor_T, tokens, experts);
        for (int t = 0; t < tokens; t++) {
          for (int e = 0; e < experts; e++) {
            int i = from + t * experts + e;
            assertEquals(rows_TE[i], columns_ET[e * stride + t]);
            assertEquals(rows_TE[i] * factor_T[t], back_TE[i]);
          }
        }
      }
    }
  }
}
