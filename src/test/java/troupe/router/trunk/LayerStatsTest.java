package troupe.router.trunk;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;

import org.junit.jupiter.api.Test;

final class LayerStatsTest {
  private static LayerStats stats(long[] routed_E, long[] first_E) {
    return new LayerStats(routed_E, first_E, new double[] {1, 2}, new double[0], 3, 4, 5, 1, 0, 2);
  }

  @Test
  void shouldBalanceAllRowsUnlessFirstChoicesAreCounted() {
    LayerStats all = stats(new long[] {3, 3}, new long[0]);
    assertArrayEquals(new long[] {3, 3}, all.balanced_E());
    assertArrayEquals(new long[] {6, 6}, all.plus(all).balanced_E());

    LayerStats first = stats(new long[] {3, 3}, new long[] {3, 1});
    assertArrayEquals(new long[] {3, 1}, first.balanced_E());
    LayerStats sum = LayerStats.none(2).plus(first).plus(first);
    assertArrayEquals(new long[] {6, 2}, sum.balanced_E());
    assertArrayEquals(new long[] {6, 6}, sum.routed_E());
  }

  @Test
  void shouldAddUpThePenaltiesOfThoseThatHaveOne() {
    LayerStats penalised =
        new LayerStats(
            new long[2], new long[0], new double[2], new double[] {1, 2}, 3, 4, 5, 1, 0, 2);
    LayerStats sum = LayerStats.none(2).plus(penalised).plus(penalised);
    assertArrayEquals(new double[] {2, 4}, sum.penalty_E());
    assertArrayEquals(new double[] {1, 2}, penalised.penalty_E());
    assertArrayEquals(new double[0], LayerStats.none(2).plus(LayerStats.none(2)).penalty_E());
  }
}
