package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.Closeness;

/** What holds for every gate whose point is its estimator, and for each in particular. */
class EstimatorGateTest {
  private static final double STEP = 1e-5;

  static Stream<String> gates() {
    return Stream.of(
        "gate.type=sparsemixer-v2",
        "gate.type=sparsemixer-v2 gate.top_k=2",
        "gate.type=sparsemixer-v2 gate.top_k=3 gate.mask=none gate.ode.rule=radau-3",
        "gate.type=sparsemixer-v2 gate.top_k=3 gate.mask=paper gate.ode.full_best=false",
        "gate.type=sparsemixer-ode gate.ode.rule=simpson gate.ode.full_best=false",
        "gate.type=sparsemixer-ode gate.ode.rule=gauss-4",
        "gate.type=dense",
        "gate.type=straight-through",
        "gate.type=st-gumbel gate.temperature=0.5",
        "gate.type=reinmax",
        "gate.type=reinmax gate.temperature=1.5 gate.mask=none",
        "gate.type=reinforce",
        "gate.type=reinforce gate.mask=none gate.reinforce.baseline=ema",
        "gate.type=reinforce gate.reinforce.gated=true gate.reinforce.baseline=constant");
  }

  private static Draws draws(long seed) {
    return new CounterDraws(seed, 1, 0, 0);
  }

  private static double[] random(long seed, int n, double shift) {
    return new Random(seed).doubles(n, -1, 1).map(v -> v + shift).toArray();
  }

  private static Feedback feedback(double[] s_S, double[] loss_T) {
    return new Feedback(s_S, Feedback.Losses.of(loss_T, 1, loss_T.length), null, loss_T.length);
  }

  private static Routing route(Gate gate, double[] logits_TE, int experts, Draws draws) {
    int tokens = logits_TE.length / experts;
    return gate.route(
        GateInput.of(logits_TE, tokens, experts, draws, true).with(new double[] {0.4}));
  }

  /** Of each slot the value of its token and expert. */
  private static double[] bySlot(Routing routing, double[] s_TE) {
    double[] s_S = new double[routing.slots()];
    for (int t = 0; t < routing.tokens(); t++) {
      for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
        s_S[slot] = s_TE[t * routing.experts() + routing.expert_S()[slot]];
      }
    }
    return s_S;
  }

  /** Multipliers by token and expert. */
  private static double[] multiplier_TE(Routing routing) {
    double[] multiplier_TE = new double[routing.p_TE().length];
    for (int t = 0; t < routing.tokens(); t++) {
      for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
        multiplier_TE[t * routing.experts() + routing.expert_S()[slot]] +=
            routing.multiplier_S()[slot];
      }
    }
    return multiplier_TE;
  }

  private static double[] gradient(Routing routing, double[] s_TE, double[] loss_T) {
    double[] dLogits_TE = new double[routing.p_TE().length];
    routing.backward(dLogits_TE, feedback(bySlot(routing, s_TE), loss_T));
    return dLogits_TE;
  }

  private static double[] permuted(double[] x_TE, int[] row, int[] column) {
    double[] permuted = new double[x_TE.length];
    for (int i = 0; i < permuted.length; i++) {
      int t = i / column.length;
      permuted[i] = x_TE[row[t] * column.length + column[i % column.length]];
    }
    return permuted;
  }

  /** Draws of tokens and experts in another order. */
  private record Permuted(Draws draws, int[] row, int[] column) implements Draws {
    @Override
    public double exponential(int token, int expert, int round) {
      return draws.exponential(row[token], column[expert], round);
    }

    @Override
    public double coin(int token, int round) {
      return draws.coin(row[token], round);
    }

    @Override
    public double scale(int token, int round) {
      return draws.scale(row[token], round);
    }

    @Override
    public double noise(int token, int expert) {
      return draws.noise(row[token], column[expert]);
    }

    @Override
    public double inputNoise(int token, int channel) {
      return draws.inputNoise(row[token], channel);
    }

    @Override
    public double priority(int token) {
      return draws.priority(row[token]);
    }
  }

  @ParameterizedTest
  @MethodSource("gates")
  void shouldPermuteWithExpertsAndTokens(String overrides) {
    Gate gate = Configs.parsed(overrides);
    int tokens = 60;
    int[] column = {3, 0, 4, 2, 1};
    int experts = column.length;
    int[] row = IntStream.range(0, tokens).map(t -> (7 * t + 3) % tokens).toArray();
    double[] logits_TE = random(1, tokens * experts, 3);
    double[] s_TE = random(2, tokens * experts, 0);
    double[] loss_T = random(3, tokens, 2);
    double[] otherLoss_T = Arrays.stream(row).mapToDouble(t -> loss_T[t]).toArray();

    Routing plain = route(gate, logits_TE, experts, draws(1));
    Routing other =
        route(gate, permuted(logits_TE, row, column), experts, new Permuted(draws(1), row, column));
    assertTrue(Load.alive(plain) > tokens / 2, "alive: " + Load.alive(plain));
    Closeness.assertClose(
        "multiplier",
        permuted(multiplier_TE(plain), row, column),
        multiplier_TE(other),
        1e-12,
        1e-15);
    Closeness.assertClose(
        "dLogits",
        permuted(gradient(plain, s_TE, loss_T), row, column),
        gradient(other, permuted(s_TE, row, column), otherLoss_T),
        1e-11,
        1e-14);
  }

  @ParameterizedTest
  @MethodSource("gates")
  void shouldNameTheLogitThatIsNotFinite(String overrides) {
    Gate gate = Configs.parsed(overrides);
    for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY, -1.0 / 0}) {
      double[] logits_TE = random(3, 4 * 3, 0);
      logits_TE[2 * 3 + 1] = bad;
      for (boolean training : new boolean[] {true, false}) {
        NonFiniteLogitsException e =
            assertThrows(
                NonFiniteLogitsException.class,
                () -> gate.route(logits_TE, 4, 3, draws(3), training));
        assertEquals(2, e.token());
        assertEquals(
            "logit of token 2 for expert 1: " + bad + " (expected: finite)", e.getMessage());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("gates")
  void shouldAcceptNoTokensAndOneToken(String overrides) {
    Gate gate = Configs.parsed(overrides);
    Routing empty = route(gate, new double[0], 4, draws(1));
    assertEquals(0, gradient(empty, new double[0], new double[0]).length);
    assertEquals(0, empty.slots());

    Routing one = route(gate, new double[] {1, 1.1, 1.2, 1}, 4, draws(1));
    double[] dLogits_TE = gradient(one, new double[] {1, 2, 3, -1}, new double[] {1.5});
    assertEquals(0, Arrays.stream(dLogits_TE).sum(), 1e-14);
    Routing evaluated = gate.route(new double[] {1, 5, 2, 0}, 1, 4, null, false);
    double[] multiplier_E = multiplier_TE(evaluated);
    assertTrue(Arrays.stream(multiplier_E).allMatch(m -> m <= multiplier_E[1]));
  }

  @ParameterizedTest
  @MethodSource("gates")
  void shouldGiveFullOutputAndNoGradientWhenThereIsOneExpert(String overrides) {
    Gate gate = Configs.parsed(overrides.replaceAll("gate.top_k=\\d", "gate.top_k=1"));
    Routing routing = route(gate, random(4, 6, 0), 1, draws(4));
    assertArrayEquals(new double[] {1, 1, 1, 1, 1, 1}, routing.p_TE());
    assertArrayEquals(new int[6], routing.expert_S());
    double[] dLogits_TE = gradient(routing, random(5, 6, 0), random(6, 6, 0));
    assertArrayEquals(new double[6], dLogits_TE);
    assertArrayEquals(routing.scale_S(), routing.multiplier_S());
  }

  @ParameterizedTest
  @MethodSource("gates")
  void shouldAddToTheGradientThatIsThere(String overrides) {
    Routing routing = route(Configs.parsed(overrides), random(6, 80, 3), 4, draws(6));
    Feedback feedback = feedback(bySlot(routing, random(7, 80, 0)), random(8, 20, 2));
    double[] once = new double[80];
    routing.backward(once, feedback);
    double[] thrice = once.clone();
    routing.backward(thrice, feedback);
    routing.backward(thrice, feedback);
    for (int i = 0; i < once.length; i++) {
      assertEquals(3 * once[i], thrice[i], 1e-13);
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "gate.type=sparsemixer-v2 gate.top_k=3 gate.ode.rule=euler",
        "gate.type=sparsemixer-v2 gate.top_k=5 gate.ode.rule=euler gate.mask=none",
        "gate.type=dense"
      })
  void shouldMatchFiniteDifferenceInTraining(String overrides) {
    assertFiniteDifference(overrides, true);
  }

  @ParameterizedTest
  @MethodSource("gates")
  void shouldMatchFiniteDifferenceInEvaluation(String overrides) {
    assertFiniteDifference(overrides, false);
  }

  private static void assertFiniteDifference(String overrides, boolean training) {
    Gate gate = Configs.parsed(overrides);
    int experts = 5;
    double[] x = random(11, 7 * experts, 3);
    double[] s_TE = random(12, 7 * experts, 0);
    double[] expected = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      for (int sign = -1; sign <= 1; sign += 2) {
        double[] moved = x.clone();
        moved[i] += sign * STEP;
        Routing routing = gate.route(moved, 7, experts, draws(13), training);
        expected[i] += sign * OneToken.dot(multiplier_TE(routing), s_TE) / (2 * STEP);
      }
    }
    Routing routing = gate.route(x, 7, experts, draws(13), training);
    double[] actual = gradient(routing, s_TE, random(14, 7, 0));
    Closeness.assertClose("dLogits", expected, actual, 1e-6, 1e-9);
  }

  @Test
  void shouldDifferentiateWhatReinMaxSays() {
    double[] logits_TE = random(21, 20, 1);
    double[] s_TE = random(22, 20, 0);
    Gate gate = Configs.parsed("gate.type=reinmax gate.mask=none gate.temperature=1.7");
    Routing routing = route(gate, logits_TE, 4, draws(23));
    double[] shifted_TE = new double[20];
    double[] cooled_TE = softmax(Arrays.stream(logits_TE).map(v -> v / 1.7).toArray(), 4);
    for (int i = 0; i < 20; i++) {
      shifted_TE[i] = Math.log((cooled_TE[i] + routing.multiplier_S()[i]) / 2);
    }
    double[] expected = new double[20];
    for (int i = 0; i < 20; i++) {
      for (int sign = -1; sign <= 1; sign += 2) {
        double[] second = shifted_TE.clone();
        double[] first = logits_TE.clone();
        second[i] += sign * STEP;
        first[i] += sign * STEP;
        double value =
            2 * OneToken.dot(softmax(second, 4), s_TE)
                - 0.5 * OneToken.dot(softmax(first, 4), s_TE);
        expected[i] += sign * value / (2 * STEP);
      }
    }
    double[] actual = gradient(routing, s_TE, new double[5]);
    Closeness.assertClose("dLogits", expected, actual, 1e-6, 1e-9);
  }

  private static double[] softmax(double[] x_TE, int experts) {
    double[] p_TE = new double[x_TE.length];
    for (int from = 0; from < x_TE.length; from += experts) {
      Rows.softmax(p_TE, x_TE, x_TE[from], from, from + experts);
    }
    return p_TE;
  }

  @Test
  void shouldDifferentiateTheLogarithmOfTheProbabilityWhenReinforced() {
    Gate gate =
        Configs.parsed(
            "gate.type=reinforce gate.mask=none gate.reinforce.gated=true"
                + " gate.reinforce.baseline=constant gate.reinforce.value=0.7");
    double[] logits_TE = random(31, 20, 1);
    double[] s_TE = random(32, 20, 0);
    double[] loss_T = random(33, 5, 2);
    Routing routing = route(gate, logits_TE, 4, draws(34));
    double[] expected = new double[20];
    for (int i = 0; i < 20; i++) {
      int chosen = i / 4 * 4 + routing.expert_S()[i / 4];
      for (int sign = -1; sign <= 1; sign += 2) {
        double[] moved = logits_TE.clone();
        moved[i] += sign * STEP;
        double p = softmax(moved, 4)[chosen];
        double value = (loss_T[i / 4] - 0.7) / 5 * Math.log(p) + s_TE[chosen] * p;
        expected[i] += sign * value / (2 * STEP);
      }
    }
    double[] actual = gradient(routing, s_TE, loss_T);
    Closeness.assertClose("dLogits", expected, actual, 1e-6, 1e-9);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void shouldDecideAsSparseMixerWithTheMidpoint(boolean fullBest) {
    Gate mixer = Configs.parsed("gate.type=" + (fullBest ? "sparsemixer" : "sparsemixer-2nd"));
    Gate ode =
        Configs.parsed(
            "gate.type=sparsemixer-ode gate.ode.rule=midpoint gate.ode.full_best=" + fullBest);
    double[] logits_TE = random(41, 400, 3);
    Routing expected = route(mixer, logits_TE, 4, draws(42));
    Routing actual = route(ode, logits_TE, 4, draws(42));
    assertArrayEquals(expected.expert_S(), actual.expert_S());
    assertArrayEquals(expected.multiplier_S(), actual.multiplier_S());
    double[] s_TE = random(43, 400, 0);
    assertArrayEquals(
        gradient(expected, s_TE, new double[100]), gradient(actual, s_TE, new double[100]));
  }

  @Test
  void shouldChooseDifferentExpertsAndAllOfThemWhenThereAreAsManyRounds() {
    Gate gate = Configs.parsed("gate.type=sparsemixer-v2 gate.top_k=5");
    Routing routing = route(gate, random(51, 500, 3), 5, draws(52));
    for (int t = 0; t < 100; t++) {
      int[] experts = Arrays.copyOfRange(routing.expert_S(), 5 * t, 5 * t + 5);
      assertEquals(5, Arrays.stream(experts).distinct().count());
      assertEquals(1, routing.multiplier_S()[5 * t + 4], "the last one left has no rival");
    }
  }

  @Test
  void shouldExcludeEarlierExpertsAndHoldTheRestAgainstTheLargestLeft() {
    Gate gate =
        Configs.parsed("gate.type=sparsemixer-v2 gate.top_k=3 gate.jitter=0.1 gate.ode.rule=euler");
    // 3 alone is within a fifth of the largest; then 2 with 1.9; then 1.9 alone.
    Routing routing = gate.route(new double[] {1, 3, 2, 1.9}, 1, 4, null, false);
    assertArrayEquals(new int[] {1, 2, 3}, routing.expert_S());
    double second = 1 / (1 + Math.exp(-0.1));
    Closeness.assertClose(
        "multiplier", new double[] {1, second, 1}, routing.multiplier_S(), 1e-15, 0);
    assertEquals(1, routing.kept_TE().count(0));
    assertTrue(routing.kept_TE().has(0, 1));
  }

  @ParameterizedTest
  @ValueSource(strings = {"gate.type=straight-through", "gate.type=st-gumbel", "gate.type=reinmax"})
  void shouldEvaluateAllExpertsInTrainingAndOneAfterwards(String overrides) {
    Gate gate = Configs.parsed(overrides);
    Routing training = route(gate, random(61, 40, 3), 4, draws(62));
    assertEquals(40, training.slots());
    assertEquals(10, Arrays.stream(training.multiplier_S()).sum());
    Routing evaluated = gate.route(random(61, 40, 3), 10, 4, null, false);
    assertEquals(10, evaluated.slots());
    assertArrayEquals(
        IntStream.range(0, 10).mapToDouble(t -> 1).toArray(), evaluated.multiplier_S());
  }

  @Test
  void shouldRefuseACapacityWhereEveryExpertGetsEveryToken() {
    GateInput input =
        GateInput.of(random(71, 8, 0), 2, 4, draws(72), true).with(Capacity.DROPLESS.withFactor(1));
    assertEquals(
        "capacity_factor: 1.0 (expected: 0, since every expert gets every token)",
        assertThrows(
                IllegalArgumentException.class,
                () -> Configs.parsed("gate.type=dense").route(input))
            .getMessage());
  }

  @Test
  void shouldTakeMultiplierAndGradientOfAReroutedSlotFromThePlainSoftmax() {
    Gate gate = Configs.parsed("gate.type=sparsemixer-v2 gate.jitter=0.01 gate.ode.rule=euler");
    Capacity capacity =
        new Capacity(
            0.001,
            1,
            troupe.core.config.RunConfig.Rounding.SWITCH,
            troupe.core.config.RunConfig.DropOrder.POSITION,
            troupe.core.config.RunConfig.Overflow.NEXT,
            0);
    double[] logits_TE = {3, 1, 2, 3, 1, 2};
    Routing routing = gate.route(GateInput.of(logits_TE, 2, 3, draws(1), true).with(capacity));
    assertArrayEquals(new int[] {0, 0}, routing.wanted_S());
    assertArrayEquals(new int[] {0, 2}, routing.expert_S());
    double p = routing.p_TE()[5];
    assertEquals(p, routing.multiplier_S()[1]);
    double[] dLogits_TE = new double[6];
    routing.backward(dLogits_TE, new double[] {1, 1});
    assertEquals(0, dLogits_TE[0]);
    assertEquals(p * (1 - p), dLogits_TE[5], 1e-15);
  }
}
