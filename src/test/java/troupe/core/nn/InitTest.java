package troupe.core.nn;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

final class InitTest {
  private static final int COUNT = 200_000;

  private static double moment(double[] values, int power) {
    return Arrays.stream(values).map(x -> Math.pow(x, power)).average().orElseThrow();
  }

  @Test
  void shouldDrawNormally() {
    double[] values = new Init.Normal(2).values(1, "w", COUNT);
    // Five standard errors: of the mean 2 / sqrt(n), of the k-th moment in proportion.
    assertEquals(0, moment(values, 1), 5 * 2 / Math.sqrt(COUNT));
    assertEquals(4, moment(values, 2), 5 * 4 * Math.sqrt(2.0 / COUNT));
    assertEquals(0, moment(values, 3), 5 * 8 * Math.sqrt(15.0 / COUNT));
    assertEquals(48, moment(values, 4), 5 * 16 * Math.sqrt(96.0 / COUNT));
    double beyondTwo = Arrays.stream(values).filter(x -> Math.abs(x) > 4).count();
    assertEquals(0.0455, beyondTwo / COUNT, 5 * Math.sqrt(0.0455 / COUNT));
    double correlation = 0;
    for (int i = 1; i < COUNT; i++) {
      correlation += values[i - 1] * values[i] / 4 / COUNT;
    }
    assertEquals(0, correlation, 5 / Math.sqrt(COUNT));
  }

  @Test
  void shouldDependOnSeedNameAndIndexAlone() {
    Init init = new Init.Normal(1);
    double[] whole = init.values(1, "l0.e3.w1", 103);
    assertArrayEquals(whole, init.values(1, "l0.e3.w1", 103));
    for (int count : new int[] {0, 1, 2, 3, 5, 102}) {
      assertArrayEquals(Arrays.copyOf(whole, count), init.values(1, "l0.e3.w1", count));
    }
    assertNotEquals(whole[0], init.values(2, "l0.e3.w1", 1)[0]);
    assertNotEquals(whole[0], init.values(1, "l0.e4.w1", 1)[0]);
  }

  @Test
  void shouldRepeatAConstant() {
    assertArrayEquals(new double[] {3, 3}, new Init.Constant(3).values(1, "g", 2));
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3, 16, 20, 64})
  void shouldMakeRowsOfOneNormInOrthogonalDirections(int rows) {
    int columns = 16;
    double[] values =
        new Init.Orthogonal(columns, 1.5).values(2, "l0.router.embed", rows * columns);
    double[] again = new Init.Orthogonal(columns, 1.5).values(2, "l0.router.embed", rows * columns);
    assertArrayEquals(values, again);
    for (int a = 0; a < rows; a++) {
      for (int b = 0; b <= a; b++) {
        double dot = 0;
        for (int i = 0; i < columns; i++) {
          dot += values[a * columns + i] * values[b * columns + i];
        }
        if (a == b) {
          assertEquals(1.5 * 1.5, dot, 1e-12, "norm of row " + a);
        } else if (rows <= columns) {
          assertEquals(0, dot, 1e-12, "rows " + a + " and " + b);
        }
      }
    }
  }
}
