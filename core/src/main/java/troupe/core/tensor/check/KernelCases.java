package troupe.core.tensor.check;

import java.util.List;

/**
 * The table of shapes: zero rows, one row, widths that are prime or no multiple of a vector, and
 * some of a real model.
 */
public final class KernelCases {
  private static final int[][] MATRICES = {
    {0, 7}, {1, 1}, {1, 61}, {3, 13}, {5, 37}, {7, 16}, {17, 64}, {33, 127}, {64, 256}, {129, 515}
  };

  /**
   * Rows that a device may share among more and more of its threads, the last two among all of them
   * by single elements; in some each thread has several.
   */
  private static final int[][] WIDE = {
    {45, 256}, {37, 1024}, {40, 1032}, {11, 2056}, {9, 4104}, {2, 8192}, {2, 8200}, {3, 1031}
  };

  private KernelCases() {}

  /** Every kernel at every shape. */
  public static List<KernelCase> all() {
    CaseTable table = new CaseTable();
    for (int[] shape : MATRICES) {
      ElementCases.elementwise(table, shape[0], shape[1]);
      RowCases.rows(table, shape[0], shape[1]);
      RoutingCases.routing(table, shape[0], shape[1]);
    }
    for (int[] shape : WIDE) {
      RowCases.rows(table, shape[0], shape[1]);
      RoutingCases.routing(table, shape[0], shape[1]);
    }
    RowCases.commonTokens(table);
    RoutingCases.directions(table);
    ProductCases.products(table);
    LayerCases.layers(table);
    LayerCases.slopes(table);
    ProductCases.weightGradients(table);
    ExpertCases.experts(table);
    ExpertCases.gradientSquares(table);
    AttentionCases.attention(table);
    return table.cases();
  }
}
