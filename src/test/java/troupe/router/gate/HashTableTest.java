package troupe.router.gate;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import org.junit.jupiter.api.Test;

class HashTableTest {
  @Test
  void shouldGiveTheMostFrequentToTheLeastLoadedWhenBalanced() {
    long[] count_V = {1, 10, 4, 4, 3, 0, 2};
    // 10 to 0, 4 to 1, 4 to 2, 3 to 1 (tie of 4 and 4), 2 to 2, 1 to 2 (6 < 7).
    assertArrayEquals(new int[] {2, 0, 1, 2, 1, 0, 2}, HashTable.balanced(count_V, 3));
  }

  @Test
  void shouldDealOutTokensThatDoNotOccur() {
    assertArrayEquals(new int[] {0, 1, 2, 0, 1, 2, 0}, HashTable.balanced(new long[7], 3));
    int[] table_V = HashTable.balanced(new long[] {0, 5, 0, 0}, 2);
    assertArrayEquals(new int[] {0, 0, 1, 0}, table_V);
  }

  @Test
  void shouldBalanceFarBetterThanByChance() {
    long[] zipf_V = new long[256];
    Arrays.setAll(zipf_V, id -> 1_000_000L / (1 + (id * 37 + 11) % 256));
    long[] balanced_E = load(HashTable.balanced(zipf_V, 8), zipf_V);
    long mean = Arrays.stream(zipf_V).sum() / 8;
    // The most frequent token alone is more than a fair share.
    long most = Math.max(mean + mean / 100, 1_000_000L);
    assertTrue(Arrays.stream(balanced_E).max().orElseThrow() <= most);
  }

  @Test
  void shouldDrawEvenlyAndByTheSeed() {
    int[] table_V = HashTable.random(3, 100_000, 8);
    long[] load_E = new long[8];
    for (int expert : table_V) {
      load_E[expert]++;
    }
    double fiveSigma = 5 * Math.sqrt(100_000 / 8.0 * 7 / 8);
    for (long load : load_E) {
      assertEquals(100_000 / 8.0, load, fiveSigma, "seed 3");
    }
    assertArrayEquals(table_V, HashTable.random(3, 100_000, 8));
    assertFalse(Arrays.equals(table_V, HashTable.random(4, 100_000, 8)));
    assertArrayEquals(
        Arrays.copyOf(table_V, 10), HashTable.random(3, 10, 8), "tokens draw by themselves");
  }

  private static long[] load(int[] table_V, long[] count_V) {
    long[] load_E = new long[8];
    for (int id = 0; id < table_V.length; id++) {
      load_E[table_V[id]] += count_V[id];
    }
    return load_E;
  }
}
