package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class ScaleRuleTest {
  private static final int FIRST = 3;

  static Stream<ScaleRule> rules() {
    return Stream.of(
        ScaleRule.FIRST_ORDER,
        QuadratureScale.MIDPOINT,
        QuadratureScale.BALANCED,
        QuadratureScale.INTEGRAL,
        QuadratureScale.total(Quadrature.SIMPSON, true),
        QuadratureScale.total(Quadrature.gauss(3), false),
        QuadratureScale.nabla0(Quadrature.HEUN, true),
        QuadratureScale.nabla0(Quadrature.EULER, false));
  }

  @ParameterizedTest
  @MethodSource("rules")
  void shouldScaleManyAsOneByOne(ScaleRule rule) {
    Random random = new Random(1);
    for (int tokens : new int[] {0, 1, 5, 16, 64}) {
      for (int share = 0; share <= 4; share++) {
        int chance = share;
        int[] other_R =
            IntStream.range(0, tokens).filter(t -> random.nextInt(4) < chance).toArray();
        double[] scale_T = new double[tokens + 2];
        double[] expected_T = scale_T.clone();
        rule.scales(FIRST, tokens, other_R, other_R.length, draws(), 2, scale_T, 1);
        for (int t = 0; t < tokens; t++) {
          int token = t;
          boolean best = IntStream.of(other_R).noneMatch(other -> other == token);
          expected_T[1 + t] = rule.scale(best, draws(), FIRST + t, 2);
        }
        assertArrayEquals(expected_T, scale_T);
      }
    }
  }

  private static Draws draws() {
    return new CounterDraws(7, 1, 0, 0);
  }
}
