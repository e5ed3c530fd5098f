package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** A heap of the best, against a sort. */
class TopSelectionTest {
  @ParameterizedTest
  @CsvSource({"1, 1, 1", "1, 5, 2", "5, 3, 3", "7, 7, 4", "16, 1000, 5", "300, 1000, 6"})
  void shouldSelectAsASortDoesWithTiesByIndex(int k, int n, long seed) {
    Random random = new Random(seed);
    double[] value = random.doubles(n).map(v -> Math.floor(v * n / 3)).toArray();
    int[] order = IndexSort.ascending(Arrays.stream(value).map(v -> -v).toArray());
    TopSelection selection = new TopSelection(k);
    for (int round = 0; round < 2; round++) {
      selection.clear();
      for (int i : random.ints(0, n).distinct().limit(n).toArray()) {
        selection.offer(value[i], i);
      }
      int expected = Math.min(k, n);
      assertEquals(expected, selection.size(), "seed " + seed);
      assertEquals(k <= n, selection.isFull());
      assertEquals(value[order[expected - 1]], selection.worst(), "seed " + seed);
      assertEquals(order[expected - 1], selection.worstIndex(), "seed " + seed);
      assertArrayEquals(Arrays.copyOf(order, expected), selection.drainBestFirst(), "seed " + seed);
    }
  }
}
