package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import java.util.Random;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Closeness;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;

/** Whatever is differentiable at fixed decisions, against central differences. */
class GateGradientTest {
  private static final int TOKENS = 7;
  private static final int EXPERTS = 5;
  private static final double STEP = 1e-5;

  /** Central differences are off by STEP^2 and by roundings of 1e-16 / STEP. */
  private static final double RELATIVE = 1e-6;

  private static final double FLOOR = 1e-9;

  private static double[] logits(long seed, double shift) {
    return new Random(seed).doubles(TOKENS * EXPERTS, -0.2, 0.2).map(v -> v + shift).toArray();
  }

  private static double[] centralDifferences(
      double[] x, Function<double[], Routing> route, ToDoubleFunction<Routing> loss) {
    int[] decisions = route.apply(x).expert_S();
    double[] gradient = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      double[] up = x.clone();
      double[] down = x.clone();
      up[i] += STEP;
      down[i] -= STEP;
      assertArrayEquals(decisions, route.apply(up).expert_S(), "step changed a decision");
      assertArrayEquals(decisions, route.apply(down).expert_S(), "step changed a decision");
      gradient[i] =
          (loss.applyAsDouble(route.apply(up)) - loss.applyAsDouble(route.apply(down)))
              / (2 * STEP);
    }
    return gradient;
  }

  private static double[] sWeights(long seed) {
    return new Random(seed + 1).doubles(TOKENS, -2, 2).toArray();
  }

  private static double weighted(Routing routing, double[] s_T) {
    double sum = 0;
    for (int t = 0; t < TOKENS; t++) {
      sum += s_T[t] * routing.multiplier_S()[t];
    }
    return sum;
  }

  private static void assertGateGradient(
      double[] x, double[] s_T, Function<double[], Routing> route) {
    double[] expected = centralDifferences(x, route, routing -> weighted(routing, s_T));
    double[] actual = new double[x.length];
    route.apply(x).backward(actual, s_T);
    Closeness.assertClose("dLogits", expected, actual, RELATIVE, FLOOR);
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void shouldMatchFiniteDifferenceWhenSwitchTrainsWithJitter(long seed) {
    Gate gate = Configs.gate(GateType.SWITCH, 0.1, Mask.NONE);
    assertGateGradient(
        logits(seed, 1),
        sWeights(seed),
        x -> gate.route(x, TOKENS, EXPERTS, new CounterDraws(seed, 0, 0, 0), true));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void shouldMatchFiniteDifferenceWhenSparseMixerEvaluates(long seed) {
    Gate gate = Configs.gate(GateType.SPARSEMIXER, 0.1, Mask.CODE);
    assertGateGradient(
        logits(seed, 1), sWeights(seed), x -> gate.route(x, TOKENS, EXPERTS, null, false));
  }

  @ParameterizedTest
  @ValueSource(strings = {"SWITCH", "SPARSEMIXER"})
  void shouldMatchFiniteDifferenceOfBalanceLoss(String type) {
    Gate gate = Configs.gate(GateType.valueOf(type), 0.1, Mask.CODE);
    Function<double[], Routing> route =
        x -> gate.route(x, TOKENS, EXPERTS, new CounterDraws(4, 0, 0, 0), true);
    long globalTokens = 3 * TOKENS;
    double[] x = logits(4, 1);
    double[] f_E = BalanceLoss.fraction(new long[] {9, 1, 4, 0, 7}, globalTokens, 0);

    double[] expected =
        centralDifferences(
            x, route, routing -> 0.7 * BalanceLoss.value(f_E, Load.sumP(routing), globalTokens));
    double[] actual = new double[x.length];
    BalanceLoss.addGradient(actual, route.apply(x), f_E, 0.7, globalTokens);

    Closeness.assertClose("dLogits", expected, actual, RELATIVE, FLOOR);
  }

  @ParameterizedTest
  @ValueSource(strings = {"SWITCH", "SPARSEMIXER"})
  void shouldMatchFiniteDifferenceOfZLoss(String type) {
    Gate gate = Configs.gate(GateType.valueOf(type), 0.1, Mask.CODE);
    Function<double[], Routing> route =
        x -> gate.route(x, TOKENS, EXPERTS, new CounterDraws(5, 0, 0, 0), true);
    long globalTokens = 3 * TOKENS;
    double[] x = logits(5, 1);

    double[] expected =
        centralDifferences(x, route, routing -> 0.3 * ZLoss.sum(routing) / globalTokens);
    double[] actual = new double[x.length];
    ZLoss.addGradient(actual, route.apply(x), 0.3, globalTokens);

    Closeness.assertClose("dLogits", expected, actual, RELATIVE, FLOOR);
  }
}
