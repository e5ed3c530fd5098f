package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import troupe.core.config.RunConfig.DropOrder;

class DispatchPlanTest {
  private static final CounterDraws DRAWS = new CounterDraws(5, 0, 0, 0);

  /** A routing that wants these experts, under this capacity. */
  private static Routing routing(
      int experts, int topK, Capacity capacity, Draws draws, int... expert_TK) {
    int tokens = expert_TK.length / topK;
    GateInput input =
        GateInput.of(new double[tokens * experts], tokens, experts, draws, true).with(capacity);
    double[] p_TE = new double[tokens * experts];
    int[] firstSlot_T1 = Routing.evenSlots(tokens, topK);
    Places places = Places.of(input, firstSlot_T1, expert_TK, p_TE);
    double[] one_S = new double[expert_TK.length];
    return new Routing(
        tokens,
        experts,
        firstSlot_T1,
        input.logits_TE(),
        p_TE,
        null,
        expert_TK,
        places.expert_S(),
        places.placed_S(),
        one_S,
        one_S,
        one_S,
        null,
        Estimator.NONE);
  }

  private static DispatchPlan plan(
      int experts, int topK, Capacity capacity, Draws draws, int... expert_TK) {
    return DispatchPlan.of(routing(experts, topK, capacity, draws, expert_TK));
  }

  private static Capacity capacity(double factor, DropOrder order) {
    return new Capacity(factor, 0, order);
  }

  @Test
  void shouldSortByExpertAndKeepTokenOrderWhenDropless() {
    DispatchPlan plan = plan(4, 1, Capacity.DROPLESS, null, 2, 0, 2, 3, 0, 2);
    assertArrayEquals(new int[] {1, 4, 0, 2, 5, 3}, plan.tokenOfRow_R());
    assertArrayEquals(new int[] {1, 4, 0, 2, 5, 3}, plan.slotOfRow_R());
    assertArrayEquals(new int[] {0, 2, 2, 5, 6}, plan.offset_E1());
    assertArrayEquals(new int[] {2, 0, 3, 1}, plan.routed_E());
    assertEquals(0, plan.rows(1));
    assertEquals(3, plan.rows(2));
    assertEquals(0, plan.dropped());
  }

  @Test
  void shouldMapSlotsToTokensWhenTopTwo() {
    DispatchPlan plan = plan(3, 2, Capacity.DROPLESS, null, 1, 0, 2, 1, 0, 2);
    assertArrayEquals(new int[] {1, 4, 0, 3, 2, 5}, plan.slotOfRow_R());
    assertArrayEquals(new int[] {0, 2, 0, 1, 1, 2}, plan.tokenOfRow_R());
  }

  @Test
  void shouldDropTheLastWhenPlacesGoByPosition() {
    DispatchPlan plan = plan(2, 1, capacity(1, DropOrder.POSITION), null, 0, 0, 1, 0, 0, 0);
    assertArrayEquals(new int[] {0, 1, 3, 2}, plan.tokenOfRow_R());
    assertArrayEquals(new int[] {5, 1}, plan.routed_E());
    assertEquals(2, plan.dropped());
  }

  @Test
  void shouldKeepTheSmallestPrioritiesWhenShuffled() {
    int tokens = 50;
    DispatchPlan plan = plan(3, 1, capacity(1, DropOrder.SHUFFLED), DRAWS, new int[tokens]);
    int[] expected =
        IntStream.range(0, tokens)
            .boxed()
            .sorted((a, b) -> Double.compare(DRAWS.priority(a), DRAWS.priority(b)))
            .limit(16)
            .mapToInt(Integer::intValue)
            .sorted()
            .toArray();
    assertArrayEquals(expected, plan.tokenOfRow_R());
    assertArrayEquals(new int[] {0, 16, 16, 16}, plan.offset_E1());
  }

  @Test
  void shouldBreakTiesOfPriorityByIndex() {
    Draws draws = new ForcedDraws(0, 0, 0);
    DispatchPlan plan = plan(1, 1, capacity(0.4, DropOrder.SHUFFLED), draws, new int[10]);
    assertArrayEquals(new int[] {0, 1, 2, 3}, plan.tokenOfRow_R());
  }

  @Test
  void shouldDropEachTokenEquallyOftenWhenShuffled() {
    int steps = 4000;
    int tokens = 20;
    int[] kept_T = new int[tokens];
    for (int step = 0; step < steps; step++) {
      DispatchPlan plan =
          plan(
              2,
              1,
              capacity(1, DropOrder.SHUFFLED),
              new CounterDraws(3, step, 0, 0),
              new int[tokens]);
      for (int token : plan.tokenOfRow_R()) {
        kept_T[token]++;
      }
    }
    double fiveSigma = 5 * Math.sqrt(steps * 0.25);
    for (int kept : kept_T) {
      assertEquals(steps / 2.0, kept, fiveSigma, "seed 3");
    }
  }

  @ParameterizedTest
  @CsvSource({
    "1,  1, 1, 1.25, 0, POSITION, 1",
    "1,  4, 2, 0.5,  0, SHUFFLED, 2",
    "97, 8, 1, 1.0,  4, POSITION, 3",
    "97, 8, 1, 1.0,  0, SHUFFLED, 4",
    "97, 8, 2, 1.25, 0, SHUFFLED, 5",
    "97, 8, 2, 1.25, 0, POSITION, 6",
    "64, 3, 1, 0,    0, SHUFFLED, 7",
    "33, 1, 1, 0.3,  0, SHUFFLED, 8",
    "0,  4, 1, 1.0,  4, SHUFFLED, 9",
    "50, 5, 1, 1e-9, 0, POSITION, 10",
    "50, 5, 1, 1e-9, 0, SHUFFLED, 11",
  })
  void shouldKeepOrDropEverySlotExactlyOnce(
      int tokens, int experts, int topK, double factor, int minimum, DropOrder order, long seed) {
    Random random = new Random(seed);
    int[] expert_TK = new int[tokens * topK];
    for (int t = 0; t < tokens; t++) {
      int first = Math.min(random.nextInt(experts), random.nextInt(experts));
      for (int k = 0; k < topK; k++) {
        expert_TK[t * topK + k] = (first + k) % experts;
      }
    }
    Capacity capacity = new Capacity(factor, minimum, order);
    DispatchPlan plan = plan(experts, topK, capacity, DRAWS, expert_TK);

    assertEquals(tokens * topK, plan.rows() + plan.dropped());
    assertEquals(tokens * topK, IntStream.of(plan.routed_E()).sum());
    assertEquals(plan.rows(), IntStream.of(plan.slotOfRow_R()).distinct().count());
    int limit = capacity.rows(tokens, experts, topK);
    for (int e = 0; e < experts; e++) {
      assertEquals(Math.min(limit, plan.routed_E()[e]), plan.rows(e));
      int previous = -1;
      for (int row = plan.offset_E1()[e]; row < plan.offset_E1()[e + 1]; row++) {
        assertEquals(e, expert_TK[plan.slotOfRow_R()[row]]);
        assertEquals(plan.slotOfRow_R()[row] / topK, plan.tokenOfRow_R()[row]);
        assertTrue(plan.slotOfRow_R()[row] > previous, "rows of expert " + e + " out of order");
        previous = plan.slotOfRow_R()[row];
      }
    }
  }

  @Test
  void shouldCarryValuesToRowsAndBack() {
    DispatchPlan plan = plan(2, 1, capacity(0.8, DropOrder.POSITION), null, 1, 0, 0, 0, 1);
    double[] rows = plan.toRows(new double[] {10, 11, 12, 13, 14});
    assertArrayEquals(new double[] {11, 12, 10, 14}, rows);
    assertArrayEquals(new double[] {10, 11, 12, 0, 14}, plan.toSlots(rows));
  }

  @Test
  void shouldComputeCapacityAsGoogleDoes() {
    Capacity train = new Capacity(1.25, 4, DropOrder.POSITION);
    assertEquals(160, train.rows(1024, 8));
    assertEquals(4, train.rows(8, 8));
    assertEquals(10, new Capacity(20, 4, DropOrder.POSITION).rows(10, 8));
    assertEquals(4, train.rows(2, 8));
    assertEquals(Integer.MAX_VALUE, Capacity.DROPLESS.rows(1024, 8));
    assertThrows(IllegalArgumentException.class, () -> new Capacity(-1, 4, DropOrder.POSITION));
    assertThrows(
        IllegalArgumentException.class, () -> new Capacity(Double.NaN, 4, DropOrder.POSITION));
    assertThrows(IllegalArgumentException.class, () -> new Capacity(1, -1, DropOrder.POSITION));
  }

  @Test
  void shouldMeasureTheEvennessOfLoad() {
    assertEquals(Math.log(4), Load.entropy(new long[] {5, 5, 5, 5}), 1e-15);
    assertEquals(0, Load.entropy(new long[] {0, 9, 0}));
    assertEquals(0, Load.entropy(new long[3]));
    assertEquals(
        1,
        BalanceLoss.value(BalanceLoss.fraction(new long[] {2, 2}, 4, 0), new double[] {2, 2}, 4));
    double collapsed =
        BalanceLoss.value(BalanceLoss.fraction(new long[] {0, 4}, 4, 0), new double[] {0, 4}, 4);
    assertEquals(2, collapsed);
    assertEquals(6, Arrays.stream(Load.sumP(oneHot(6))).sum());
  }

  private static Routing oneHot(int tokens) {
    Gate gate = new SparseMixerGate(MaskRule.code(0), ScaleRule.FIRST_ORDER, 2);
    double[] logits_TE = new Random(1).doubles(tokens * 3L).toArray();
    return gate.route(logits_TE, tokens, 3, DRAWS, true);
  }
}
