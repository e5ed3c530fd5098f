package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.Closeness;
import troupe.core.config.ConfigLoader;
import troupe.core.config.GateConfig;
import troupe.core.config.GateConfig.SoftmaxOver;
import troupe.core.config.RunConfig;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;
import troupe.core.config.RunConfig.Rounding;

/** Gates whose decision for a token depends on the others of its micro-batch. */
class GroupGatesTest {
  private static final double STEP = 1e-5;

  /** The gates, each in all its forms. */
  enum Form {
    EXPERT_CHOICE(new ExpertChoiceGate(1, SoftmaxOver.EXPERTS), false),
    EXPERT_CHOICE_2(new ExpertChoiceGate(2, SoftmaxOver.EXPERTS), false),
    EXPERT_CHOICE_TOKENS(new ExpertChoiceGate(2, SoftmaxOver.TOKENS), false),
    BASE(new BaseGate(), false),
    SINKHORN(new SinkhornGate(1, new GateConfig.Sinkhorn(1e-4, 1000)), false),
    SINKHORN_2(new SinkhornGate(2, new GateConfig.Sinkhorn(1e-4, 1000)), false),
    SKIP(new SkipGate(new ConstantBaseline(0.5), false), true),
    SKIP_GATED(new SkipGate(new ConstantBaseline(0.5), true), true),
    GUMBEL_MATCHING(new GumbelMatchingGate(new ConstantBaseline(0.5), false), true),
    GUMBEL_MATCHING_GATED(new GumbelMatchingGate(new ConstantBaseline(0.5), true), true);

    private final Gate gate;
    private final boolean samples;

    Form(Gate gate, boolean samples) {
      this.gate = gate;
      this.samples = samples;
    }
  }

  private static double[] random(long seed, int n) {
    return new Random(seed).doubles(n, -2, 2).toArray();
  }

  private static Feedback feedback(long seed, Routing routing) {
    double[] s_S = random(seed, routing.slots());
    for (int slot = 0; slot < s_S.length; slot++) {
      s_S[slot] = routing.isPlaced(slot) ? s_S[slot] : 0;
    }
    int tokens = routing.tokens();
    return new Feedback(
        s_S, Feedback.Losses.of(random(seed + 1, tokens), 1, tokens), new double[0], tokens);
  }

  /** Draws that travel with the tokens. */
  private record Moved(Draws draws, int[] from_T) implements Draws {
    @Override
    public double exponential(int token, int expert, int round) {
      return draws.exponential(from_T[token], expert, round);
    }

    @Override
    public double coin(int token, int round) {
      return draws.coin(from_T[token], round);
    }

    @Override
    public double scale(int token, int round) {
      return draws.scale(from_T[token], round);
    }

    @Override
    public double noise(int token, int expert) {
      return draws.noise(from_T[token], expert);
    }

    @Override
    public double inputNoise(int token, int channel) {
      return draws.inputNoise(from_T[token], channel);
    }

    @Override
    public double priority(int token) {
      return draws.priority(from_T[token]);
    }
  }

  private static int[] shuffled(long seed, int n) {
    return new Random(seed).ints(0, n).distinct().limit(n).toArray();
  }

  private static GateInput input(double[] logits_TE, int tokens, Draws draws) {
    return GateInput.of(logits_TE, tokens, logits_TE.length / tokens, draws, true);
  }

  @ParameterizedTest
  @EnumSource
  void shouldRouteTokensAlikeInAnyOrder(Form form) {
    int tokens = 37;
    int experts = 5;
    double[] logits_TE = random(1, tokens * experts);
    int[] from_T = shuffled(2, tokens);
    double[] moved_TE = new double[logits_TE.length];
    Arrays.setAll(moved_TE, i -> logits_TE[from_T[i / experts] * experts + i % experts]);
    CounterDraws draws = new CounterDraws(3, 1, 0, 0);
    Capacity tight = new Capacity(0.8, 1, DropOrder.SHUFFLED);
    Routing plain = form.gate.route(input(logits_TE, tokens, draws).with(tight));
    Routing moved = form.gate.route(input(moved_TE, tokens, new Moved(draws, from_T)).with(tight));
    for (int t = 0; t < tokens; t++) {
      int slot = plain.firstSlot_T1()[from_T[t]];
      int end = plain.firstSlot_T1()[from_T[t] + 1];
      assertEquals(end - slot, moved.firstSlot_T1()[t + 1] - moved.firstSlot_T1()[t]);
      for (int s = moved.firstSlot_T1()[t]; s < moved.firstSlot_T1()[t + 1]; s++, slot++) {
        assertEquals(plain.expert_S()[slot], moved.expert_S()[s], "token " + t);
        assertEquals(plain.isPlaced(slot), moved.isPlaced(s), "token " + t);
        assertEquals(plain.multiplier_S()[slot], moved.multiplier_S()[s], 1e-12);
        assertEquals(plain.backwardMultiplier_S()[slot], moved.backwardMultiplier_S()[s], 1e-9);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldAddUpUnderEveryCapacity(Form form) {
    int tokens = 64;
    int experts = 8;
    double[] logits_TE = random(4, tokens * experts);
    for (Overflow overflow : Overflow.values()) {
      for (int groups : new int[] {0, 3}) {
        Capacity capacity =
            new Capacity(0.5, 1, Rounding.SWITCH, DropOrder.PROBABILITY, overflow, groups);
        GateInput input = input(logits_TE, tokens, new CounterDraws(4, 1, 0, 0)).with(capacity);
        Routing routing = form.gate.route(input);
        Ledger ledger = Ledger.of(routing);
        DispatchPlan plan = DispatchPlan.of(routing);
        assertEquals(routing.slots(), ledger.routed());
        assertEquals(plan.rows(), ledger.kept());
        assertEquals(plan.dropped(), ledger.dropped());
        boolean isLimited = !form.name().startsWith("EXPERT") && !form.name().startsWith("GUMBEL");
        assertEquals(isLimited, ledger.dropped() > 0);
        double[] dLogits = new double[logits_TE.length];
        routing.backward(dLogits, feedback(5, routing));
        assertTrue(Arrays.stream(dLogits).allMatch(Double::isFinite));
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldAcceptNoTokensOneTokenAndOneExpert(Form form) {
    Routing empty = form.gate.route(new double[0], 0, 3, new CounterDraws(1, 1, 0, 0), true);
    empty.backward(new double[0], feedback(1, empty));
    assertEquals(0, empty.slots());

    for (boolean training : new boolean[] {true, false}) {
      Draws draws = training ? new CounterDraws(1, 1, 0, 0) : null;
      Routing one = form.gate.route(new double[] {1, 5, 2}, 1, 3, draws, training);
      Routing alone = form.gate.route(random(2, 6), 6, 1, draws, training);
      double[] dLogits = new double[6];
      alone.backward(dLogits, feedback(2, alone));
      assertArrayEquals(new int[6], alone.expert_S());
      if (!form.name().startsWith("EXPERT")) {
        assertEquals(form == Form.SINKHORN_2 ? 2 : 1, one.slots());
      }
      if (!form.samples && !training && form != Form.EXPERT_CHOICE_TOKENS) {
        assertEquals(1, one.expert_S()[0]);
      }
      if (form.samples || form.name().equals("EXPERT_CHOICE")) {
        Closeness.assertClose("dLogits", new double[6], dLogits, 0, 1e-15);
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldNameTheLogitThatIsNotFinite(Form form) {
    for (double bad : new double[] {Double.NaN, 1.0 / 0, -1.0 / 0}) {
      double[] logits_TE = random(3, 12);
      logits_TE[2 * 3 + 1] = bad;
      for (boolean training : new boolean[] {true, false}) {
        Draws draws = new CounterDraws(1, 1, 0, 0);
        NonFiniteLogitsException e =
            assertThrows(
                NonFiniteLogitsException.class,
                () -> form.gate.route(logits_TE, 4, 3, draws, training));
        assertEquals(
            "logit of token 2 for expert 1: " + bad + " (expected: finite)", e.getMessage());
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldStayFiniteWhenAllTokensWantOneExpertOrLogitsAreHuge(Form form) {
    int tokens = 40;
    int experts = 8;
    for (double size : new double[] {0, 1, 700, 1e5, 1e300}) {
      double[] logits_TE = new double[tokens * experts];
      Arrays.setAll(logits_TE, i -> i % experts == 3 ? size : -size);
      Routing routing =
          form.gate.route(logits_TE, tokens, experts, new CounterDraws(6, 1, 0, 0), true);
      double[] dLogits = new double[logits_TE.length];
      routing.backward(dLogits, feedback(6, routing));
      assertTrue(Arrays.stream(dLogits).allMatch(Double::isFinite), "size " + size);
      for (double multiplier : routing.backwardMultiplier_S()) {
        assertTrue(multiplier >= 0 && Double.isFinite(multiplier), "size " + size);
      }
      int[] load_E = Load.routed(routing);
      if (form == Form.BASE || form.name().startsWith("GUMBEL") || form == Form.EXPERT_CHOICE) {
        assertArrayEquals(new int[] {5, 5, 5, 5, 5, 5, 5, 5}, load_E, "size " + size);
      }
    }
  }

  /** The gradient of {@code sum of s * multiplier} where what was chosen stays. */
  @ParameterizedTest
  @EnumSource
  void shouldMatchFiniteDifferenceOfItsMultipliers(Form form) {
    int tokens = 11;
    int experts = 4;
    boolean training = !form.samples;
    double[] x = random(7, tokens * experts);
    Draws draws = new CounterDraws(7, 1, 0, 0);
    Routing at = form.gate.route(x, tokens, experts, draws, training);
    double[] s_S = random(8, at.slots());
    double[] expected = new double[x.length];
    for (int i = 0; i < x.length; i++) {
      for (int side = -1; side <= 1; side += 2) {
        double[] near = x.clone();
        near[i] += side * STEP;
        Routing routing = form.gate.route(near, tokens, experts, draws, training);
        assertArrayEquals(at.expert_S(), routing.expert_S(), "step changed a decision");
        for (int slot = 0; slot < s_S.length; slot++) {
          expected[i] += side * s_S[slot] * routing.multiplier_S()[slot] / (2 * STEP);
        }
      }
    }
    double[] actual = new double[x.length];
    at.backward(actual, s_S);
    Closeness.assertClose("dLogits", expected, actual, 1e-6, 1e-9);
    double[] twice = actual.clone();
    at.backward(twice, s_S);
    Closeness.assertClose("adds", Arrays.stream(actual).map(d -> 2 * d).toArray(), twice, 1e-13, 0);
  }

  /** In training the gated ones have a score, too: at the baseline it is nothing. */
  @ParameterizedTest
  @EnumSource(names = {"SKIP_GATED", "GUMBEL_MATCHING_GATED"})
  void shouldWeighThePathwiseGradientOfGatedOutputs(Form form) {
    int tokens = 12;
    int experts = 3;
    Capacity tight = new Capacity(0.6, 1, DropOrder.POSITION);
    double[] logits_TE = random(9, tokens * experts);
    Routing routing =
        form.gate.route(input(logits_TE, tokens, new CounterDraws(9, 1, 0, 0)).with(tight));
    double[] loss_T = new double[tokens];
    Arrays.fill(loss_T, 0.5);
    double[] s_S = random(10, tokens);
    double[] actual = new double[logits_TE.length];
    routing.backward(
        actual, new Feedback(s_S, Feedback.Losses.of(loss_T, 1, tokens), null, tokens));
    double[] expected = new double[logits_TE.length];
    for (int t = 0; t < tokens; t++) {
      int z = routing.expert_S()[t];
      double p = routing.p_TE()[t * experts + z];
      assertEquals(p, routing.multiplier_S()[t]);
      for (int j = 0; j < experts; j++) {
        double jacobian = (j == z ? 1 : 0) - routing.p_TE()[t * experts + j];
        expected[t * experts + j] = s_S[t] * routing.backwardMultiplier_S()[t] * jacobian;
      }
    }
    Closeness.assertClose("dLogits", expected, actual, 1e-12, 1e-15);
  }

  @Test
  void shouldTakeTheBestTokensOfEveryExpert() {
    double[] logits_TE = {5, 0, 4, 0, 0, 1, 3, 0};
    Routing routing =
        new ExpertChoiceGate(1, SoftmaxOver.EXPERTS).route(logits_TE, 4, 2, null, false);
    assertArrayEquals(new int[] {0, 1, 2, 3, 4}, routing.firstSlot_T1());
    assertArrayEquals(new int[] {0, 0, 1, 1}, routing.expert_S());

    // Two tokens that all take, one that nobody does, half of each multiplier.
    Routing all =
        new ExpertChoiceGate(2, SoftmaxOver.TOKENS)
            .route(new double[] {2, 3, 0, 0, 2, 2}, 3, 2, null, false);
    assertArrayEquals(new int[] {0, 2, 4, 6}, all.firstSlot_T1());
    for (int slot = 0; slot < 6; slot++) {
      assertEquals(
          all.p_TE()[slot / 2 * 2 + all.expert_S()[slot]] / 2, all.multiplier_S()[slot], 1e-15);
    }
  }

  @Test
  void shouldHaveLoadsThatDifferByOneWhenTokensAreNoMultipleOfExperts() {
    for (Form form : List.of(Form.BASE, Form.GUMBEL_MATCHING)) {
      for (int tokens : new int[] {1, 5, 8, 13, 23, 31}) {
        double[] logits_TE = random(tokens, tokens * 8);
        Routing routing =
            form.gate.route(logits_TE, tokens, 8, new CounterDraws(11, 1, 0, 0), true);
        int[] load_E = Load.routed(routing);
        assertTrue(Arrays.stream(load_E).min().getAsInt() >= tokens / 8, form + " " + tokens);
        assertTrue(Arrays.stream(load_E).max().getAsInt() <= (tokens + 7) / 8, form + " " + tokens);
      }
    }
  }

  @Test
  void shouldKeepAndWeighTheGroupThatSharesRoom() {
    int tokens = 400;
    double[] logits_TE = random(12, tokens * 4);
    Capacity shared = new Capacity(0.5, 1, Rounding.SWITCH, DropOrder.POSITION, Overflow.NEXT, 2);
    GateInput input = input(logits_TE, tokens, new CounterDraws(12, 1, 0, 0)).with(shared);
    Routing routing = Form.SKIP.gate.route(input);
    int[] load_E = Load.routed(routing);
    assertEquals(0, routing.rerouted());
    assertEquals(200, Ledger.of(routing).kept());
    for (int t = 0; t < tokens; t++) {
      int group = routing.expert_S()[t] / 2;
      double weight = (load_E[2 * group] + load_E[2 * group + 1]) / 100.0;
      assertEquals(routing.isPlaced(t) ? weight : 0, routing.backwardMultiplier_S()[t], 1e-15);
    }
  }

  @Test
  void shouldEvenOutTheLoadInTrainingOnly() {
    int tokens = 512;
    int experts = 8;
    double[] logits_TE = random(13, tokens * experts);
    Arrays.setAll(logits_TE, i -> logits_TE[i] + i % experts);
    for (Form form : List.of(Form.BASE, Form.SINKHORN, Form.SINKHORN_2)) {
      int[] trained_E = Load.routed(form.gate.route(logits_TE, tokens, experts, null, true));
      int[] evaluated_E = Load.routed(form.gate.route(logits_TE, tokens, experts, null, false));
      int slots = form == Form.SINKHORN_2 ? 2 : 1;
      int even = tokens * slots / experts;
      assertTrue(Arrays.stream(trained_E).max().getAsInt() < 1.5 * even, form.name());
      assertTrue(evaluated_E[7] > 3 * even, form.name());
    }
  }

  @Test
  void shouldWarnWhenTheVarianceIsInfinite() {
    String[] two = {"gate.type=gumbel-matching", "experts.count=8", "model.seq=8", "train.batch=2"};
    assertTrue(Gates.warnings(config(two, "train.ranks=1")).isEmpty());
    List<String> warnings = Gates.warnings(config(two, "train.ranks=2"));
    assertEquals(1, warnings.size());
    assertTrue(warnings.getFirst().startsWith("gate.type: gumbel-matching with 8 tokens"));
    assertFalse(warnings.getFirst().contains("\n"));
    assertTrue(Gates.warnings(config(two, "train.ranks=2", "gate.type=skip")).isEmpty());
  }

  private static RunConfig config(String[] first, String... then) {
    List<String> all = new ArrayList<>(List.of(first));
    all.addAll(List.of(then));
    all.add("train.micro_batches=1");
    return ConfigLoader.parse("", all);
  }
}
