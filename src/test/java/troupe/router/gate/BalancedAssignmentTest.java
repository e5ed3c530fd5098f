package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The exact assignment and what exchanges gain, against all assignments there are. */
class BalancedAssignmentTest {
  private static final double TOLERANCE = 1e-9;

  /** The best sum of values over all assignments in which {@code row} is at {@code expert}. */
  private static double best(double[] value_NE, int[] capacity_E, int row, int expert) {
    return best(value_NE, capacity_E.clone(), 0, row, expert);
  }

  private static double best(double[] value_NE, int[] room_E, int n, int row, int expert) {
    int experts = room_E.length;
    if (n * experts == value_NE.length) {
      return 0;
    }
    double best = Double.NEGATIVE_INFINITY;
    for (int e = 0; e < experts; e++) {
      if (room_E[e] > 0 && (n != row || e == expert)) {
        room_E[e]--;
        double rest = best(value_NE, room_E, n + 1, row, expert);
        best = Math.max(best, value_NE[n * experts + e] + rest);
        room_E[e]++;
      }
    }
    return best;
  }

  private static double[] values(Random random, int n, double roundTo) {
    double[] value = new double[n];
    for (int i = 0; i < n; i++) {
      double x = 3 * random.nextGaussian();
      value[i] = roundTo == 0 ? x : Math.rint(x / roundTo) * roundTo;
    }
    return value;
  }

  @ParameterizedTest
  @CsvSource({
    "1, '1', 0", "3, '1 1 1', 0", "6, '2 2 2', 0", "6, '3 3', 0", "7, '3 2 2', 0",
        "5, '1 1 2 1', 0",
    // Room to spare, experts without any, ties.
    "2, '1 1 1 1', 0", "1, '1 1 1', 0", "5, '2 2 2', 0", "4, '2 0 2', 0", "6, '2 2 2', 2",
        "4, '3 3', 3"
  })
  void shouldFindTheBestOfAllAssignments(int n, String capacities, double roundTo) {
    int[] capacity_E = Arrays.stream(capacities.split(" ")).mapToInt(Integer::parseInt).toArray();
    int experts = capacity_E.length;
    for (long seed = 0; seed < 30; seed++) {
      double[] value_NE = values(new Random(seed), n * experts, roundTo);
      BalancedAssignment assignment = new BalancedAssignment(value_NE, capacity_E);
      int[] count_E = new int[experts];
      Arrays.stream(assignment.expert_N()).forEach(e -> count_E[e]++);
      for (int e = 0; e < experts; e++) {
        assertTrue(count_E[e] <= capacity_E[e], "seed " + seed);
        assertEquals(count_E[e] < capacity_E[e], assignment.hasRoom(e), "seed " + seed);
      }
      double best = best(value_NE, capacity_E, -1, -1);
      assertEquals(best, assignment.value(), TOLERANCE, "seed " + seed);

      double[] path_EE = assignment.longestPath_EE();
      for (int row = 0; row < n; row++) {
        int own = assignment.expert_N()[row];
        for (int e = 0; e < experts; e++) {
          double expected = best(value_NE, capacity_E, row, e);
          double actual =
              best
                  + value_NE[row * experts + e]
                  - value_NE[row * experts + own]
                  + path_EE[e * experts + own];
          assertEquals(expected, actual, TOLERANCE, "seed " + seed + " row " + row + " at " + e);
        }
      }
    }
  }

  @Test
  void shouldBeNoWorseThanTheAuctionWhenThereAreMany() {
    int tokens = 256;
    int experts = 16;
    double[] value_TE = values(new Random(5), tokens * experts, 0);
    int[] capacity_E = new int[experts];
    Arrays.fill(capacity_E, tokens / experts);
    double exact = new BalancedAssignment(value_TE, capacity_E).value();
    int[] all_T = new int[tokens];
    Arrays.setAll(all_T, t -> t);
    int[] expert_T = new Auction(value_TE, all_T, experts).assign();
    double auctioned = 0;
    for (int t = 0; t < tokens; t++) {
      auctioned += value_TE[t * experts + expert_T[t]];
    }
    assertTrue(exact >= auctioned, exact + " and " + auctioned);
    assertEquals(exact, auctioned, 0.01 * exact, "the auction is nearly as good");
  }

  @Test
  void shouldEndWhenAllValuesAreTheSame() {
    BalancedAssignment assignment =
        new BalancedAssignment(new double[12 * 4], new int[] {3, 3, 3, 3});
    assertEquals(0, assignment.value());
    assertEquals(0, new BalancedAssignment(new double[0], new int[] {1, 1}).expert_N().length);
  }

  @Test
  void shouldRefuseMoreRowsThanPlaces() {
    IllegalArgumentException e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new BalancedAssignment(new double[6], new int[] {1, 1}));
    assertEquals("capacity: [1, 1] (expected: sum >= 3)", e.getMessage());
  }
}
