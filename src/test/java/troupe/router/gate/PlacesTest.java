package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Random;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.config.RunConfig.DropOrder;
import troupe.core.config.RunConfig.Overflow;
import troupe.core.config.RunConfig.Rounding;

/** Who gets a place at an expert, who goes elsewhere, who is left over. */
class PlacesTest {
  private static final CounterDraws DRAWS = new CounterDraws(5, 0, 0, 0);

  private static Capacity capacity(double factor, DropOrder order, Overflow overflow, int groups) {
    return new Capacity(factor, 0, Rounding.SWITCH, order, overflow, groups);
  }

  private static Places places(
      Capacity capacity, int experts, int topK, double[] p_TE, int... wanted_TK) {
    int tokens = wanted_TK.length / topK;
    GateInput input =
        GateInput.of(new double[tokens * experts], tokens, experts, DRAWS, true).with(capacity);
    return Places.of(input, Routing.evenSlots(tokens, topK), wanted_TK, p_TE);
  }

  @Test
  void shouldKeepEverythingAsItIsWhenThereIsRoom() {
    int[] wanted = {0, 1, 0, 1};
    Capacity exact = capacity(1, DropOrder.SHUFFLED, Overflow.NEXT, 0);
    for (Capacity capacity : new Capacity[] {Capacity.DROPLESS, exact}) {
      Places places = places(capacity, 2, 1, new double[8], wanted);
      assertSame(wanted, places.expert_S());
      assertNull(places.placed_S());
    }
  }

  @Test
  void shouldPlaceAllFirstChoicesBeforeAnySecondOne() {
    // Three tokens, room for two rows each: token 2's first choice wins over token 1's second one.
    Capacity capacity = capacity(1, DropOrder.POSITION, Overflow.DROP, 0);
    Places places = places(capacity, 3, 2, new double[9], 0, 1, 2, 0, 0, 1);
    assertArrayEquals(
        new boolean[] {true, true, true, false, true, true}, places.placed_S(), "placed");
  }

  @Test
  void shouldKeepTheSurestTokensWhenPlacesGoByProbability() {
    double[] p_TE = {0.6, 0.4, 0.9, 0.1, 0.7, 0.3, 0.9, 0.1};
    Capacity capacity = capacity(1, DropOrder.PROBABILITY, Overflow.DROP, 0);
    Places places = places(capacity, 2, 1, p_TE, 0, 0, 0, 0);
    assertArrayEquals(new boolean[] {false, true, false, true}, places.placed_S());
  }

  @Test
  void shouldGoToTheExpertLikedNextBestThatHasRoom() {
    // Expert 1 is full of those who want it, the mask keeps token 2 from expert 3.
    double[] p_TE = {0.6, 0.3, 0.1, 0, 0.1, 0.8, 0.1, 0, 0.5, 0.4, 0.1, 0, 0.5, 0.4, 0, 0.1};
    Capacity capacity = capacity(1, DropOrder.POSITION, Overflow.NEXT, 0);
    Places places = places(capacity, 4, 1, p_TE, 0, 1, 0, 0);
    assertArrayEquals(new int[] {0, 1, 2, 3}, places.expert_S());
    assertArrayEquals(new boolean[] {true, true, true, true}, places.placed_S());
  }

  @Test
  void shouldNeverRerouteATokenToAnExpertItHas() {
    double[] p_TE = {0.5, 0.4, 0.1, 0.5, 0.4, 0.1, 0.5, 0.4, 0.1};
    Capacity capacity = capacity(0.5, DropOrder.POSITION, Overflow.NEXT, 0);
    Places places = places(capacity, 3, 2, p_TE, 0, 1, 0, 1, 0, 1);
    // One row an expert: token 0 has 0 and 1; token 1 takes the row of expert 2, once.
    assertArrayEquals(new boolean[] {true, true, true, false, false, false}, places.placed_S());
    assertArrayEquals(new int[] {0, 1, 2, 1, 0, 1}, places.expert_S());
  }

  @Test
  void shouldShareRoomWithinAGroup() {
    Capacity own = capacity(1, DropOrder.POSITION, Overflow.DROP, 0);
    Capacity shared = capacity(1, DropOrder.POSITION, Overflow.DROP, 2);
    int[] wanted = {0, 0, 2, 3};
    assertFalse(places(own, 4, 1, new double[16], wanted).placed_S()[1]);
    assertNull(places(shared, 4, 1, new double[16], wanted).placed_S());
    assertArrayEquals(
        new boolean[] {true, true, false, true},
        places(shared, 4, 1, new double[16], 0, 1, 1, 2).placed_S());
  }

  @ParameterizedTest
  @CsvSource({
    "SWITCH, 1000, 8, 1, 1.25, 156",
    "SWITCH, 10, 2, 1, 4, 10",
    "SWITCH, 1000, 8, 2, 1.25, 312",
    "MEGATRON, 1000, 7, 1, 1.25, 179",
    "MEGATRON, 1000, 7, 2, 1, 286",
    "TORCHSCALE, 1000, 7, 1, 1.25, 178",
    "TORCHSCALE, 1000, 7, 2, 1, 286",
  })
  void shouldRoundAsItsSourceDoes(
      Rounding rounding, int tokens, int experts, int topK, double factor, int rows) {
    Capacity capacity = new Capacity(factor, 0, rounding, DropOrder.POSITION, Overflow.DROP, 0);
    assertEquals(rows, capacity.rows(tokens, experts, topK));
    assertEquals(Integer.MAX_VALUE, capacity.withFactor(0).rows(tokens, experts, topK));
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12})
  void shouldAddUpAndNeverExceedRoomWhateverTheShape(long seed) {
    Random random = new Random(seed);
    for (int round = 0; round < 200; round++) {
      int experts = 1 + random.nextInt(9);
      int tokens = 1 + random.nextInt(40);
      int topK = 1 + random.nextInt(experts);
      Capacity capacity =
          new Capacity(
              0.1 + 1.5 * random.nextDouble(),
              random.nextInt(3),
              Rounding.values()[random.nextInt(3)],
              DropOrder.values()[random.nextInt(3)],
              Overflow.values()[random.nextInt(2)],
              random.nextBoolean() ? 0 : 1 + random.nextInt(experts));
      double[] p_TE =
          IntStream.range(0, tokens * experts)
              .mapToDouble(i -> random.nextInt(4) == 0 ? 0 : random.nextDouble())
              .toArray();
      boolean crowded = random.nextInt(4) == 0;
      int[] wanted_TK = new int[tokens * topK];
      for (int t = 0; t < tokens; t++) {
        int first = crowded ? 0 : random.nextInt(experts);
        for (int k = 0; k < topK; k++) {
          wanted_TK[t * topK + k] = (first + k) % experts;
        }
      }
      Places places = places(capacity, experts, topK, p_TE, wanted_TK);
      assertWithinRoom(
          "seed " + seed + " round " + round + " " + capacity,
          capacity,
          experts,
          topK,
          p_TE,
          wanted_TK,
          places);
    }
  }

  private static void assertWithinRoom(
      String what,
      Capacity capacity,
      int experts,
      int topK,
      double[] p_TE,
      int[] wanted_TK,
      Places places) {
    int tokens = wanted_TK.length / topK;
    long rows = capacity.rows(tokens, experts, topK);
    long[] room_G = new long[capacity.groups() == 0 ? experts : capacity.groups()];
    for (int e = 0; e < experts; e++) {
      room_G[capacity.group(e, experts)] += rows;
    }
    long wants = room_G[0];
    for (int slot = 0; slot < wanted_TK.length; slot++) {
      if (places.placed_S() == null || places.placed_S()[slot]) {
        int group = capacity.group(places.expert_S()[slot], experts);
        assertTrue(--room_G[group] >= 0, what + ": more rows than room");
      }
    }
    assertTrue(wants >= 0, what);
    if (places.placed_S() == null) {
      return;
    }
    for (int slot = 0; slot < wanted_TK.length; slot++) {
      int token = slot / topK;
      boolean placed = places.placed_S()[slot];
      if (!placed) {
        assertEquals(0, room_G[capacity.group(wanted_TK[slot], experts)], what + ": room was left");
      }
      if (!placed && capacity.overflow() == Overflow.NEXT) {
        for (int e = 0; e < experts; e++) {
          boolean has = false;
          for (int k = token * topK; k < (token + 1) * topK; k++) {
            has |= places.expert_S()[k] == e || wanted_TK[k] == e;
          }
          boolean couldGo =
              p_TE[token * experts + e] > 0 && !has && room_G[capacity.group(e, experts)] > 0;
          assertFalse(couldGo, what + ": token " + token + " could have gone to expert " + e);
        }
      }
      if (capacity.overflow() == Overflow.DROP) {
        assertEquals(wanted_TK[slot], places.expert_S()[slot], what);
      }
    }
  }

  @Test
  void shouldRefuseALedgerThatDoesNotAddUp() {
    assertEquals(new Ledger(7, 5, 2, 1), new Ledger(3, 2, 1, 1).plus(new Ledger(4, 3, 1, 0)));
    assertThrows(IllegalStateException.class, () -> new Ledger(3, 1, 1, 0));
    assertThrows(IllegalStateException.class, () -> new Ledger(3, 2, 1, 3));
  }
}
