package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.BitSet;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import troupe.core.config.GateConfig.JitterOn;
import troupe.core.config.GateConfig.Mask;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;
import troupe.core.config.RunConfig.Rounding;

/** What holds for every gate there is, over random shapes: a new one is in here by its name. */
class AllGatesTest {
  private static final int ROUNDS = 60;
  private static final long STEP_TOKENS = 1000;
  private static final int VOCABULARY = 256;

  /** A gate, and tokens for it. */
  private record Case(Gate gate, GateInput input, String what) {}

  private static Gate gate(GateType type, int topK) {
    return Gates.of(
        Configs.config(type, 0.1, JitterOn.LOGITS, Mask.CODE)
            .with(type, type.hasTopK() ? topK : 1));
  }

  private static int leastExperts(GateType type) {
    return type == GateType.GSHARD ? 2 : 1;
  }

  private static boolean mayHaveCapacity(GateType type) {
    return switch (type) {
      case DENSE, STRAIGHT_THROUGH, ST_GUMBEL, REINMAX -> false;
      default -> true;
    };
  }

  private static Case random(GateType type, Random random, long seed, int round) {
    int tokens = round == 0 ? 1 : random.nextInt(50);
    int experts = leastExperts(type) + (round == 1 ? 0 : random.nextInt(8));
    int topK = 1 + random.nextInt(Math.min(3, experts));
    Capacity capacity =
        mayHaveCapacity(type) && random.nextBoolean()
            ? new Capacity(
                0.25 + random.nextDouble(),
                random.nextInt(2),
                Rounding.values()[random.nextInt(3)],
                DropOrder.values()[random.nextInt(3)],
                Overflow.values()[random.nextInt(2)],
                random.nextBoolean() ? 0 : 1 + random.nextInt(experts))
            : Capacity.DROPLESS;
    boolean crowded = random.nextInt(4) == 0;
    double[] logits_TE = new double[tokens * experts];
    for (int i = 0; i < logits_TE.length; i++) {
      logits_TE[i] = random.nextGaussian() + 1 + (crowded && i % experts == 0 ? 30 : 0);
    }
    // In evaluation nothing is dropped, whatever training does.
    boolean training = !capacity.isDropless() || random.nextInt(2) > 0;
    Gate gate = gate(type, topK);
    return new Case(
        gate,
        input(
            gate,
            logits_TE,
            tokens,
            experts,
            random,
            capacity,
            new CounterDraws(seed, round, 0, 0),
            training),
        "seed "
            + seed
            + " round "
            + round
            + ": T="
            + tokens
            + " E="
            + experts
            + " k="
            + topK
            + " "
            + capacity
            + (training ? " training" : " evaluation"));
  }

  private static GateInput input(
      Gate gate,
      double[] logits_TE,
      int tokens,
      int experts,
      Random random,
      Capacity capacity,
      Draws draws,
      boolean training) {
    double[] state = new double[gate.state() == null ? 0 : gate.state().size(experts)];
    if (gate.state() != null) {
      Arrays.fill(state, gate.state().initial());
    }
    if (gate.hashes()) {
      state = random.ints(VOCABULARY, 0, experts).asDoubleStream().toArray();
    }
    return new GateInput(
        logits_TE,
        tokens,
        experts,
        random.ints(tokens, 0, VOCABULARY).toArray(),
        state,
        capacity,
        training ? draws : null,
        training);
  }

  private static Feedback feedback(Routing routing, Random random) {
    double[] s_S = new double[routing.slots()];
    for (int slot = 0; slot < s_S.length; slot++) {
      s_S[slot] = routing.isPlaced(slot) ? random.nextGaussian() : 0;
    }
    double[] loss_T = random.doubles(routing.tokens(), 0, 5).toArray();
    double[] load_E = new double[routing.experts()];
    int[] routed_E = Load.routed(routing);
    for (int e = 0; e < load_E.length; e++) {
      load_E[e] = routed_E[e] / (double) Math.max(1, routing.tokens());
    }
    return new Feedback(s_S, Feedback.Losses.of(loss_T, 1, STEP_TOKENS), load_E, STEP_TOKENS);
  }

  @ParameterizedTest
  @EnumSource
  void shouldAddUpWhateverTheShape(GateType type) {
    long seed = 20_231_018 + type.ordinal();
    Random random = new Random(seed);
    for (int round = 0; round < ROUNDS; round++) {
      Case tried = random(type, random, seed, round);
      Routing routing = tried.gate().route(tried.input());
      Ledger ledger = Ledger.of(routing);
      DispatchPlan plan = DispatchPlan.of(routing);
      assertEquals(ledger.kept(), plan.rows(), tried.what());
      assertEquals(ledger.dropped(), plan.dropped(), tried.what());
      assertEquals(
          ledger.routed(), Arrays.stream(plan.routed_E()).asLongStream().sum(), tried.what());
      assertEquals(routing.tokens() + 1, routing.firstSlot_T1().length, tried.what());
      for (int t = 0; t < routing.tokens(); t++) {
        BitSet seen = new BitSet();
        for (int slot = routing.firstSlot_T1()[t]; slot < routing.firstSlot_T1()[t + 1]; slot++) {
          int expert = routing.expert_S()[slot];
          assertTrue(expert >= 0 && expert < routing.experts(), tried.what());
          if (routing.isPlaced(slot)) {
            assertTrue(!seen.get(expert), tried.what() + ": token " + t + " twice at " + expert);
            seen.set(expert);
          }
        }
      }
      Capacity capacity = tried.input().capacity();
      if (capacity.isDropless() && type != GateType.EXPERT_CHOICE) {
        assertEquals(0, ledger.dropped(), tried.what());
      }
    }
  }

  @ParameterizedTest
  @EnumSource
  void shouldHaveFiniteGradientsWhateverTheShape(GateType type) {
    long seed = 19_950_612 + type.ordinal();
    Random random = new Random(seed);
    for (int round = 0; round < ROUNDS; round++) {
      Case tried = random(type, random, seed, round);
      Routing routing = tried.gate().route(tried.input());
      double[] dLogits_TE = new double[routing.tokens() * routing.experts()];
      Feedback feedback = feedback(routing, random);
      routing.backward(dLogits_TE, feedback);
      for (double gradient : dLogits_TE) {
        assertTrue(Double.isFinite(gradient), tried.what() + ": gradient " + gradient);
      }
      GateState state = tried.gate().state();
      if (state != null) {
        double[] change = new double[state.size(routing.experts())];
        state.addChange(change, tried.input().state(), routing.tokens(), feedback);
        for (double number : change) {
          assertTrue(Double.isFinite(number), tried.what() + ": change " + number);
        }
      }
      for (int slot = 0; slot < routing.slots(); slot++) {
        assertTrue(Double.isFinite(routing.multiplier_S()[slot]), tried.what());
        assertTrue(Double.isFinite(routing.backwardMultiplier_S()[slot]), tried.what());
      }
    }
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "BALANCED")
  void shouldPermuteWithTheTokens(GateType type) {
    long seed = 4_711 + type.ordinal();
    Random random = new Random(seed);
    int experts = 4;
    int tokens = 24;
    for (Capacity capacity :
        new Capacity[] {
          Capacity.DROPLESS,
          new Capacity(0.8, 0, Rounding.SWITCH, DropOrder.SHUFFLED, Overflow.DROP, 0),
          new Capacity(0.8, 0, Rounding.SWITCH, DropOrder.SHUFFLED, Overflow.NEXT, 2),
        }) {
      if (!mayHaveCapacity(type) && !capacity.isDropless()) {
        continue;
      }
      String what = "seed " + seed + " " + capacity;
      Gate gate = gate(type, 2);
      double[] logits_TE = random.doubles(tokens * experts, 0.5, 1.5).toArray();
      CounterDraws draws = new CounterDraws(seed, 1, 0, 0);
      GateInput plainInput = input(gate, logits_TE, tokens, experts, random, capacity, draws, true);
      int[] of = permutation(tokens, random);
      double[] permuted_TE = new double[logits_TE.length];
      int[] ids_T = new int[tokens];
      for (int t = 0; t < tokens; t++) {
        System.arraycopy(logits_TE, of[t] * experts, permuted_TE, t * experts, experts);
        ids_T[t] = plainInput.ids_T()[of[t]];
      }
      Routing plain = gate.route(plainInput);
      Routing permuted =
          gate.route(
              new GateInput(
                  permuted_TE,
                  tokens,
                  experts,
                  ids_T,
                  plainInput.state(),
                  capacity,
                  new PermutedTokens(draws, of),
                  true));
      for (int t = 0; t < tokens; t++) {
        int from = permuted.firstSlot_T1()[t];
        int plainFrom = plain.firstSlot_T1()[of[t]];
        int slots = permuted.firstSlot_T1()[t + 1] - from;
        assertEquals(plain.firstSlot_T1()[of[t] + 1] - plainFrom, slots, what);
        for (int k = 0; k < slots; k++) {
          assertEquals(plain.expert_S()[plainFrom + k], permuted.expert_S()[from + k], what);
          assertEquals(plain.isPlaced(plainFrom + k), permuted.isPlaced(from + k), what);
          assertEquals(
              plain.multiplier_S()[plainFrom + k], permuted.multiplier_S()[from + k], 1e-9, what);
        }
      }
    }
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"BALANCED", "EXPERT_CHOICE", "BASE", "SINKHORN", "SKIP", "GUMBEL_MATCHING"})
  void shouldRouteEachTokenAsIfAlone(GateType type) {
    long seed = 31_415 + type.ordinal();
    Random random = new Random(seed);
    for (int experts : new int[] {2, 3, 8, 13, 70}) {
      // Few rivals after a mask, some, and many.
      for (double shift : new double[] {0, 2, 9}) {
        int tokens = 70;
        Gate gate = gate(type, 2);
        double[] logits_TE = random.doubles(tokens * experts, -2, 2).map(x -> x + shift).toArray();
        GateInput input =
            input(
                gate,
                logits_TE,
                tokens,
                experts,
                random,
                Capacity.DROPLESS,
                new CounterDraws(seed, 1, 0, 0),
                true);
        Routing routing = gate.route(input);
        Feedback feedback = feedback(routing, random);
        double[] dLogits_TE = new double[logits_TE.length];
        routing.backward(dLogits_TE, feedback);
        for (int t = 0; t < tokens; t++) {
          String what = "seed " + seed + " E=" + experts + " shift " + shift + " token " + t;
          compareAlone(what, gate, input, routing, feedback, dLogits_TE, t, seed);
        }
      }
    }
  }

  private static void compareAlone(
      String what,
      Gate gate,
      GateInput input,
      Routing routing,
      Feedback feedback,
      double[] dLogits_TE,
      int t,
      long seed) {
    int from = t * input.experts();
    int to = from + input.experts();
    GateInput one =
        GateInput.of(
                Arrays.copyOfRange(input.logits_TE(), from, to),
                1,
                input.experts(),
                new CounterDraws(seed, 1, 0, t),
                true)
            .with(input.state())
            .withIds(new int[] {input.ids_T()[t]});
    Routing alone = gate.route(one);
    int slot = routing.firstSlot_T1()[t];
    int end = routing.firstSlot_T1()[t + 1];
    assertArrayEquals(Arrays.copyOfRange(routing.p_TE(), from, to), alone.p_TE(), what);
    assertArrayEquals(
        Arrays.copyOfRange(routing.wanted_S(), slot, end), alone.wanted_S(), what + " wanted");
    assertArrayEquals(
        Arrays.copyOfRange(routing.scale_S(), slot, end), alone.scale_S(), what + " scale");
    assertArrayEquals(
        Arrays.copyOfRange(routing.multiplier_S(), slot, end), alone.multiplier_S(), what);
    double[] dLogits_E = new double[input.experts()];
    Feedback.Losses losses = feedback.losses();
    alone.backward(
        dLogits_E,
        new Feedback(
            Arrays.copyOfRange(feedback.s_S(), slot, end),
            new Feedback.Losses(
                new double[] {losses.mean_T()[t]}, new double[] {losses.weight_T()[t]}, 1),
            feedback.load_E(),
            feedback.tokens()));
    if (!gate.needsLosses()) {
      assertArrayEquals(Arrays.copyOfRange(dLogits_TE, from, to), dLogits_E, what + " gradient");
    }
  }

  private static int[] permutation(int n, Random random) {
    int[] of = new int[n];
    for (int i = 0; i < n; i++) {
      int j = random.nextInt(i + 1);
      of[i] = of[j];
      of[j] = i;
    }
    return of;
  }

  @ParameterizedTest
  @EnumSource(
      mode = EnumSource.Mode.EXCLUDE,
      names = {"BALANCED", "HASH"})
  void shouldNameTheTokenWhoseLogitIsNotFinite(GateType type) {
    for (double bad : new double[] {Double.NaN, Double.POSITIVE_INFINITY, -1.0 / 0}) {
      for (boolean training : new boolean[] {true, false}) {
        Gate gate = gate(type, 2);
        double[] logits_TE = new Random(3).doubles(5 * 3, 0.5, 1.5).toArray();
        logits_TE[3 * 3 + 1] = bad;
        GateInput input =
            input(
                gate,
                logits_TE,
                5,
                3,
                new Random(4),
                Capacity.DROPLESS,
                new CounterDraws(3, 1, 0, 0),
                training);
        NonFiniteLogitsException e =
            assertThrows(NonFiniteLogitsException.class, () -> gate.route(input), type + " " + bad);
        assertEquals(3, e.token());
      }
    }
  }
}
