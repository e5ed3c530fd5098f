package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Named;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.Closeness;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.Deepseek;
import troupe.core.config.GateConfig.Gshard;
import troupe.core.config.GateConfig.Normalise;
import troupe.core.config.GateConfig.Relu;
import troupe.core.config.GateConfig.SecondExpert;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;
import troupe.core.config.RunConfig.Rounding;

/** What holds for every router that sends tokens to several experts, or to those of a table. */
class RoutersTest {
  private static final int TOKENS = 24;
  private static final int EXPERTS = 6;
  private static final double STEP = 1e-6;

  /** Central differences are off by STEP^2 and by roundings of 1e-16 / STEP. */
  private static final double RELATIVE = 1e-6;

  private static final double FLOOR = 1e-9;

  /** A router and how many experts it takes for a token, -1 if that varies. */
  private record Router(Gate gate, int slotsPerToken) {}

  private static Named<Router> router(String name, Gate gate, int slotsPerToken) {
    return Named.of(name, new Router(gate, slotsPerToken));
  }

  private static GshardGate gshard(SecondExpert second, Normalise normalise) {
    return new GshardGate(new Gshard(second, normalise));
  }

  private static DeepseekGate deepseek(GateConfig.Score score, int groups, int topGroups, int k) {
    return new DeepseekGate(new Deepseek(score, groups, topGroups, 2.5, 0.001), k);
  }

  static Stream<Named<Router>> routers() {
    Stream<Named<Router>> gshards =
        Stream.of(SecondExpert.values())
            .flatMap(
                second ->
                    Stream.of(Normalise.values())
                        .map(
                            normalise ->
                                router(
                                    "gshard " + second + " " + normalise,
                                    gshard(second, normalise),
                                    second == SecondExpert.BEST || second == SecondExpert.SAMPLED
                                        ? 2
                                        : -1)));
    return Stream.concat(
        gshards,
        Stream.of(
            router("top-1", new SoftmaxTopKGate(1), 1),
            router("top-2", new SoftmaxTopKGate(2), 2),
            router("top-6", new SoftmaxTopKGate(EXPERTS), EXPERTS),
            router("deepseek", deepseek(GateConfig.Score.SIGMOID, 1, 1, 3), 3),
            router("deepseek groups", deepseek(GateConfig.Score.SIGMOID, 3, 2, 3), 3),
            router("deepseek groups of one", deepseek(GateConfig.Score.SIGMOID, 6, 3, 2), 2),
            router("deepseek softmax", deepseek(GateConfig.Score.SOFTMAX, 1, 1, 2), 2),
            router("relu", new ReluGate(new Relu(0.5, 1.2), 2), -1),
            router("hash", new HashGate(), 1)));
  }

  private static double[] logits(long seed, int tokens) {
    return new Random(seed).doubles(tokens * EXPERTS, -1, 1.5).toArray();
  }

  private static Capacity capacity(double factor, Overflow overflow) {
    return new Capacity(factor, 0, Rounding.SWITCH, DropOrder.POSITION, overflow, 0);
  }

  private static GateInput input(Router router, double[] logits_TE, Draws draws, Capacity room) {
    int tokens = logits_TE.length / EXPERTS;
    int[] ids_T = new int[tokens];
    for (int t = 0; t < tokens; t++) {
      ids_T[t] = t % 5;
    }
    double[] state = {};
    if (router.gate.hashes()) {
      state = new double[] {0, 3, 3, 5, 1};
    } else if (router.gate.state() != null) {
      state = new double[router.gate.state().size(EXPERTS)];
      Arrays.setAll(state, i -> 0.01 * i - 0.02);
    }
    return GateInput.of(logits_TE, tokens, EXPERTS, draws, draws != null)
        .with(state)
        .withIds(ids_T)
        .with(room);
  }

  private static Draws draws(long seed) {
    return new CounterDraws(seed, 1, 0, 0);
  }

  private static double[] randomS(Routing routing, long seed) {
    double[] s_S = new Random(seed).doubles(routing.slots(), -2, 2).toArray();
    for (int slot = 0; slot < s_S.length; slot++) {
      s_S[slot] = routing.isPlaced(slot) ? s_S[slot] : 0;
    }
    return s_S;
  }

  private static double weighted(Routing routing, double[] s_S) {
    double sum = 0;
    for (int slot = 0; slot < s_S.length; slot++) {
      sum += s_S[slot] * routing.multiplier_S()[slot];
    }
    return sum;
  }

  private static void assertFiniteDifferences(Router router, Capacity room, long seed) {
    double[] x = logits(seed, TOKENS);
    Routing routing = router.gate.route(input(router, x, draws(seed), room));
    double[] s_S = randomS(routing, seed);
    double[] actual = new double[x.length];
    routing.backward(actual, s_S);
    double[] expected = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      double[] side = new double[2];
      for (int sign = 0; sign < 2; sign++) {
        double[] moved = x.clone();
        moved[i] += sign == 0 ? STEP : -STEP;
        Routing there = router.gate.route(input(router, moved, draws(seed), room));
        assertArrayEquals(routing.expert_S(), there.expert_S(), "seed " + seed);
        assertArrayEquals(routing.placed_S(), there.placed_S(), "seed " + seed);
        side[sign] = weighted(there, s_S);
      }
      expected[i] = (side[0] - side[1]) / (2 * STEP);
    }
    Closeness.assertClose("dLogits, seed " + seed, expected, actual, RELATIVE, FLOOR);
  }

  @ParameterizedTest
  @MethodSource("routers")
  void shouldMatchFiniteDifferencesAtFixedDecisions(Router router) {
    for (long seed = 1; seed <= 3; seed++) {
      assertFiniteDifferences(router, Capacity.DROPLESS, seed);
      assertFiniteDifferences(router, capacity(0.75, Overflow.DROP), seed);
      assertFiniteDifferences(router, capacity(0.75, Overflow.NEXT), seed);
    }
  }

  @ParameterizedTest
  @MethodSource("routers")
  void shouldPermuteWithTheTokens(Router router) {
    double[] x = logits(9, TOKENS);
    int[] of = new int[TOKENS];
    double[] permuted = new double[x.length];
    for (int t = 0; t < TOKENS; t++) {
      of[t] = (t * 7 + 3) % TOKENS;
      System.arraycopy(x, of[t] * EXPERTS, permuted, t * EXPERTS, EXPERTS);
    }
    GateInput plainInput = input(router, x, draws(9), Capacity.DROPLESS);
    int[] ids_T = Arrays.stream(of).map(t -> plainInput.ids_T()[t]).toArray();
    GateInput permutedInput =
        input(router, permuted, new PermutedTokens(draws(9), of), Capacity.DROPLESS).withIds(ids_T);
    Routing plain = router.gate.route(plainInput);
    Routing there = router.gate.route(permutedInput);
    for (int t = 0; t < TOKENS; t++) {
      assertArrayEquals(slots(plain, of[t]), slots(there, t));
      assertArrayEquals(multipliers(plain, of[t]), multipliers(there, t));
    }
  }

  private static int[] slots(Routing routing, int token) {
    int[] first = routing.firstSlot_T1();
    return Arrays.copyOfRange(routing.expert_S(), first[token], first[token + 1]);
  }

  private static double[] multipliers(Routing routing, int token) {
    int[] first = routing.firstSlot_T1();
    return Arrays.copyOfRange(routing.multiplier_S(), first[token], first[token + 1]);
  }

  @ParameterizedTest
  @MethodSource("routers")
  void shouldTakeNoTokensAndOneToken(Router router) {
    Routing empty =
        router.gate.route(input(router, new double[0], draws(1), capacity(1, Overflow.DROP)));
    empty.backward(new double[0], new double[0]);
    assertEquals(0, empty.slots());
    Routing one = router.gate.route(input(router, logits(1, 1), null, Capacity.DROPLESS));
    assertTrue(one.slots() <= EXPERTS);
    if (router.slotsPerToken > 0) {
      assertEquals(router.slotsPerToken, one.slots());
    }
  }

  @ParameterizedTest
  @MethodSource("routers")
  void shouldTakeAnExpertOnceForAToken(Router router) {
    Routing routing =
        router.gate.route(input(router, logits(4, 500), draws(4), capacity(0.8, Overflow.NEXT)));
    for (int t = 0; t < 500; t++) {
      int[] experts = slots(routing, t);
      assertEquals(experts.length, Arrays.stream(experts).distinct().count());
      if (router.slotsPerToken > 0) {
        assertEquals(router.slotsPerToken, experts.length);
      }
    }
  }

  @ParameterizedTest
  @MethodSource("routers")
  void shouldAddUpWhenAllTokensWantTheSame(Router router) {
    double[] x = new double[TOKENS * EXPERTS];
    for (int t = 0; t < TOKENS; t++) {
      x[t * EXPERTS + 2] = 9;
      x[t * EXPERTS + 4] = 8;
    }
    for (Overflow overflow : Overflow.values()) {
      Routing routing = router.gate.route(input(router, x, draws(3), capacity(0.75, overflow)));
      Ledger ledger = Ledger.of(routing);
      assertEquals(routing.slots(), ledger.routed());
      assertEquals(ledger.kept(), DispatchPlan.of(routing).rows());
      int[] rows_E = new int[EXPERTS];
      for (int slot = 0; slot < routing.slots(); slot++) {
        rows_E[routing.expert_S()[slot]] += routing.isPlaced(slot) ? 1 : 0;
      }
      double k = router.slotsPerToken > 0 ? router.slotsPerToken : 2;
      int most = (int) Math.floor(TOKENS * k * 0.75 / EXPERTS);
      for (int rows : rows_E) {
        assertTrue(rows <= most, Arrays.toString(rows_E) + " of " + most);
      }
      assertEquals(overflow == Overflow.DROP ? 0 : ledger.rerouted(), ledger.rerouted());
    }
  }

  @ParameterizedTest
  @MethodSource("routers")
  void shouldNameTheLogitThatIsNotFinite(Router router) {
    if (router.gate.hashes()) {
      return;
    }
    double[] x = logits(5, 4);
    x[2 * EXPERTS + 1] = Double.NaN;
    NonFiniteLogitsException e =
        assertThrows(
            NonFiniteLogitsException.class,
            () -> router.gate.route(input(router, x, draws(5), Capacity.DROPLESS)));
    assertEquals(2, e.token());
  }

  @ParameterizedTest
  @MethodSource("routers")
  void shouldStayFiniteWhenLogitsAreHuge(Router router) {
    double[] x = logits(6, 8);
    Arrays.setAll(x, i -> x[i] * 1e3 * (i % 2 == 0 ? 1 : -1) - 2e3);
    Routing routing = router.gate.route(input(router, x, draws(6), Capacity.DROPLESS));
    double[] dLogits_TE = new double[x.length];
    routing.backward(dLogits_TE, randomS(routing, 6));
    assertTrue(Arrays.stream(routing.multiplier_S()).allMatch(Double::isFinite));
    assertTrue(Arrays.stream(dLogits_TE).allMatch(Double::isFinite));
  }

  @ParameterizedTest
  @MethodSource("routers")
  void shouldAddToTheGradientThatIsThere(Router router) {
    Routing routing =
        router.gate.route(input(router, logits(7, 9), draws(7), capacity(0.9, Overflow.DROP)));
    double[] s_S = randomS(routing, 7);
    double[] once = new double[9 * EXPERTS];
    routing.backward(once, s_S);
    double[] twice = once.clone();
    routing.backward(twice, s_S);
    for (int i = 0; i < once.length; i++) {
      assertEquals(2 * once[i], twice[i], 1e-14);
    }
  }

  @Test
  void shouldSumToOneAndLeaveOthersAloneWhenMixtralChooses() {
    Routing routing = new SoftmaxTopKGate(2).route(new double[] {1, 3, 2, 2}, 1, 4, null, false);
    assertArrayEquals(new int[] {1, 2}, routing.expert_S());
    double first = 1 / (1 + Math.exp(-1));
    assertArrayEquals(new double[] {first, 1 - first}, routing.multiplier_S(), 1e-15);
    double[] dLogits = new double[4];
    routing.backward(dLogits, new double[] {2, 1});
    assertEquals(0.0, dLogits[0]);
    assertEquals(0.0, dLogits[3]);
    assertEquals(first * (1 - first), dLogits[1], 1e-15);
  }

  @Test
  void shouldGiveWeightOneAndNoGradientToALoneSurvivor() {
    double[] x = {5, 4, 0, 5, 0, 4};
    Capacity one = new Capacity(0.75, 0, Rounding.SWITCH, DropOrder.POSITION, Overflow.DROP, 0);
    GateInput input = GateInput.of(x, 2, 3, null, false).with(one);
    Routing after = gshard(SecondExpert.BEST, Normalise.AFTER_DROP).route(input);
    assertArrayEquals(new boolean[] {true, true, false, true}, after.placed_S());
    assertEquals(1.0, after.multiplier_S()[3]);
    double[] dLogits = new double[6];
    after.backward(dLogits, new double[] {0, 0, 0, 3});
    assertArrayEquals(new double[6], dLogits);

    Routing before = gshard(SecondExpert.BEST, Normalise.BEFORE_DROP).route(input);
    assertEquals(1 / (1 + Math.exp(1)), before.multiplier_S()[3], 1e-8);
  }

  @ParameterizedTest
  @EnumSource(SecondExpert.class)
  void shouldTakeSecondExpertsAsOftenAsThePolicySays(SecondExpert second) {
    int samples = 100_000;
    double[] x = new double[3 * samples];
    for (int t = 0; t < samples; t++) {
      x[3 * t] = 3;
      x[3 * t + 1] = 1.2;
      x[3 * t + 2] = 0.7;
    }
    Routing routing = gshard(second, Normalise.AFTER_DROP).route(x, samples, 3, draws(13), true);
    double g1 = routing.p_TE()[0];
    double g2 = routing.p_TE()[1];
    int[] count_E = Load.routed(routing);
    double[] expected =
        switch (second) {
          case BEST -> new double[] {1, 1, 0};
          case SAMPLED -> new double[] {1, g2 / (1 - g1), 1 - g2 / (1 - g1)};
          case RANDOM -> new double[] {1, 2 * g2, 0};
          case THRESHOLD -> new double[] {1, g2 / (g1 + g2) / 0.2, 0};
        };
    for (int e = 0; e < 3; e++) {
      double p = expected[e];
      double fiveSigma = 5 * Math.sqrt(p * (1 - p) / samples) + 1e-8;
      assertEquals(p, count_E[e] / (double) samples, fiveSigma, "seed 13, expert " + e);
    }
    Routing evaluated = gshard(second, Normalise.AFTER_DROP).route(x, samples, 3, null, false);
    assertEquals(samples, Load.routed(evaluated)[1]);
  }

  @Test
  void shouldNeedTwoExpertsWhenGshardRoutes() {
    Gate gate = gshard(SecondExpert.BEST, Normalise.AFTER_DROP);
    assertThrows(
        IllegalArgumentException.class, () -> gate.route(new double[3], 3, 1, null, false));
    assertEquals(6, gate.route(new double[6], 3, 2, null, false).slots());
  }

  @Test
  void shouldKeepToTheBestGroupsWhenDeepseekRoutes() {
    double[] x = {3, -3, 2, 1.9, -1, -1};
    GateInput input = GateInput.of(x, 1, 6, null, false).with(new double[6]);
    Routing grouped = deepseek(GateConfig.Score.SIGMOID, 3, 1, 2).route(input);
    assertArrayEquals(new int[] {2, 3}, grouped.expert_S());
    Routing free = deepseek(GateConfig.Score.SIGMOID, 1, 1, 2).route(input);
    assertArrayEquals(new int[] {0, 2}, free.expert_S());
    Routing biased =
        deepseek(GateConfig.Score.SIGMOID, 1, 1, 2)
            .route(input.with(new double[] {0, 0, 0, 0, 0, 9}));
    assertArrayEquals(new int[] {5, 0}, biased.expert_S());
    assertTrue(biased.multiplier_S()[0] < biased.multiplier_S()[1], "bias is not in the weights");
    assertEquals(1, Arrays.stream(biased.p_TE()).sum(), 1e-15);
  }

  @Test
  void shouldLeaveTheBiasAloneAtAnEvenLoadWhateverTheRounding() {
    double third = 1 / 3.0;
    double[] change = new double[3];
    new LoadBias(0.1)
        .addChange(
            change,
            new double[3],
            3,
            new Feedback(null, null, new double[] {third, third, third}, 3));
    assertArrayEquals(new double[3], change);
  }

  @Test
  void shouldPenaliseByLoadAndMoveTheCoefficientWhenReluRoutes() {
    ReluGate gate = new ReluGate(new Relu(0.5, 2), 1);
    GateInput input =
        GateInput.of(new double[] {1, -1, 2, -1, -2, -3}, 2, 3, null, true).with(new double[] {2});
    Routing routing = gate.route(input);
    assertArrayEquals(new int[] {0, 2, 2}, routing.firstSlot_T1());
    assertArrayEquals(new int[] {2, 0}, routing.expert_S());
    assertArrayEquals(new double[] {2, 1}, routing.multiplier_S());
    double[] load_E = {0.75, 0.5, 1};
    Feedback feedback = new Feedback(new double[] {0.3, -0.2}, null, load_E, 4);
    double[] dLogits = new double[6];
    routing.backward(dLogits, feedback);
    // lambda = 0.5 * 2^2; times E / (k T) = 3 / 4, times the load of each expert.
    assertArrayEquals(new double[] {-0.2 + 1.5 * 0.75, 0, 0.3 + 1.5, 0, 0, 0}, dLogits, 1e-15);
    // The same without 1 / T, times the positive logits of each expert.
    assertArrayEquals(new double[] {6, 0, 12}, routing.penalty_E(), 1e-14);

    assertEquals(2.5, 2 - change(gate, routing, load_E), 1e-15);
    assertEquals(2.0, 2 - change(gate, routing, new double[] {0.25, 0.25, 0.5}), 1e-15);
    assertEquals(1.5, 2 - change(gate, routing, new double[] {0.25, 0.25, 0.25}), 1e-15);
  }

  private static double change(ReluGate gate, Routing routing, double[] load_E) {
    double[] change = new double[1];
    gate.state()
        .addChange(change, new double[] {2}, routing.tokens(), new Feedback(null, null, load_E, 4));
    return gate.state().rate() * change[0];
  }

  @Test
  void shouldSayWhatIsMissingWhenHashHasNoIds() {
    GateInput input = GateInput.of(new double[3], 1, 3, null, false).with(new double[] {0, 1});
    assertThrows(IllegalArgumentException.class, () -> new HashGate().route(input));
    Routing routing = new HashGate().route(input.withIds(new int[] {1}));
    assertArrayEquals(new int[] {1}, routing.expert_S());
    assertArrayEquals(new double[] {1}, routing.multiplier_S());
    assertEquals(0, Load.alive(routing));
  }
}
