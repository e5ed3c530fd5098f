package troupe.core.tensor.check;

import troupe.core.tensor.Tensor;

/** Rows to experts and back, and what the gate of XMoE makes of its embeddings. */
final class RoutingCases {
  private RoutingCases() {}

  static void routing(CaseTable table, int rows, int columns) {
    String shape = " " + rows + " x " + columns;
    int tokens = rows / 2 + 1;
    table.add(
        "gatherRows" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          run.kernels().gatherRows(out, run.normal(tokens, columns), run.indices(rows, tokens));
          run.keep(out);
        });
    table.add(
        "scatterAddRows" + shape,
        run -> {
          Tensor out = run.normal(tokens, columns);
          run.kernels().scatterAddRows(out, run.normal(rows, columns), run.indices(rows, tokens));
          run.keep(out);
        });
    for (boolean weighted : new boolean[] {false, true}) {
      String omega = weighted ? " with omega" : " without omega";
      table.add(
          "combineForward" + omega + shape,
          run -> {
            Tensor x = run.normal(tokens, columns);
            run.kernels()
                .combineForward(
                    x,
                    run.normal(rows, columns),
                    run.indices(rows, tokens),
                    run.multipliers(rows),
                    weighted ? run.exactNormal(1, columns) : null);
            run.keep(x);
          });
      table.add(
          "combineBackward" + omega + shape,
          run -> {
            Tensor dY = run.output(rows, columns);
            Tensor s = run.exactOutput(rows, 1);
            Tensor dOmega = weighted ? run.exactNormal(1, columns) : null;
            run.kernels()
                .combineBackward(
                    dY,
                    s,
                    dOmega,
                    run.normal(tokens, columns),
                    run.normal(rows, columns),
                    run.indices(rows, tokens),
                    run.multipliers(rows),
                    weighted ? run.exactNormal(1, columns) : null);
            run.keep(dY, s);
            if (weighted) {
              run.keep(dOmega);
            }
          });
    }
  }

  static void directions(CaseTable table) {
    int[][] sizes = { // d, experts, width
      {0, 3, 5},
      {1, 1, 1},
      {5, 1, 16},
      {13, 3, 7},
      {61, 300, 16},
      {264, 8, 16},
      {515, 33, 16},
      {130, 5, 77}
    };
    for (int[] size : sizes) {
      int d = size[0];
      int experts = size[1];
      int width = size[2];
      // About half of the embeddings are shorter.
      double leastNorm = Math.sqrt(width);
      table.add(
          "directions " + d + " x " + experts + " x " + width,
          run -> {
            Tensor out = run.exactOutput(d, experts);
            Tensor p = run.exactNormal(d, width);
            Tensor e = run.exactNormal(experts, width);
            // One has no direction.
            run.kernels().fill(e.rows(0, Math.min(1, experts - 1)), 0);
            run.kernels().directionsForward(out, p, e, leastNorm);
            Tensor dP = run.exactNormal(d, width);
            Tensor dE = run.exactNormal(experts, width);
            Tensor dOut = run.exactNormal(d, experts);
            run.kernels().directionsBackward(dP, dE, dOut, p, e, leastNorm);
            run.keep(out, dP, dE);
          });
    }
  }
}
