package troupe.core.tensor.check;

import java.util.List;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.WeightGradient;

/** Products of matrices, and gradients of weights, of one layer and of several. */
final class ProductCases {
  private ProductCases() {}

  static void products(CaseTable table) {
    int[][] sizes = {
      {0, 7, 5},
      {3, 5, 0},
      {1, 1, 1},
      {1, 61, 13},
      {7, 13, 37},
      {13, 1, 7},
      {17, 31, 16},
      {33, 48, 61},
      {64, 128, 96},
      {101, 67, 259},
      {130, 256, 64}
    };
    for (int[] size : sizes) {
      int m = size[0];
      int n = size[1];
      int k = size[2];
      for (int flags = 0; flags < 8; flags++) {
        boolean transposeA = (flags & 1) != 0;
        boolean transposeB = (flags & 2) != 0;
        boolean accumulate = (flags & 4) != 0;
        if ((k == 0 && !transposeA) || (n == 0 && !transposeB)) {
          continue; // a tensor has no zero columns
        }
        if ((m == 0 && transposeA) || (k == 0 && transposeB)) {
          continue;
        }
        String name =
            "matmul "
                + (transposeA ? "T" : "N")
                + (transposeB ? "T" : "N")
                + (accumulate ? " += " : " = ")
                + m
                + " x "
                + n
                + " x "
                + k;
        table.add(
            name,
            run -> {
              Tensor out = transposeA ? exact(run, m, n, accumulate) : rows(run, m, n, accumulate);
              Tensor a = transposeA ? run.normal(k, m) : run.normal(m, k);
              Tensor b = operand(run, transposeA, transposeB ? n : k, transposeB ? k : n);
              run.kernels().matmul(out, a, transposeA, b, transposeB, accumulate);
              run.keep(out);
            });
      }
    }
  }

  private static Tensor exact(KernelCase.Run run, int rows, int columns, boolean accumulate) {
    return accumulate ? run.exactNormal(rows, columns) : run.exactOutput(rows, columns);
  }

  private static Tensor rows(KernelCase.Run run, int rows, int columns, boolean accumulate) {
    return accumulate ? run.normal(rows, columns) : run.output(rows, columns);
  }

  /** Gradients of parameters are products of activations, activations those with parameters. */
  private static Tensor operand(KernelCase.Run run, boolean gradient, int rows, int columns) {
    return gradient ? run.normal(rows, columns) : run.exactNormal(rows, columns);
  }

  /**
   * Gradients of several layers at a time: few results, and so many that a GPU does them in one
   * launch, with tiles of every kind in part and in whole.
   */
  static void weightGradients(CaseTable table) {
    int[][] sizes = { // rows, outputs of the first layer
      {0, 51_208}, {5, 51_208}, {70, 520}, {33, 61}
    };
    for (int[] size : sizes) {
      int rows = size[0];
      int outputs = size[1];
      table.add(
          "weightGradients " + rows + " x " + outputs,
          run -> {
            Tensor wide = run.normal(rows, outputs);
            Tensor some = run.normal(rows, 264);
            Tensor few = run.normal(rows, 8);
            Tensor dWide = run.exactNormal(8, outputs);
            Tensor dWideBias = run.exactNormal(1, outputs);
            Tensor dSome = run.exactOutput(outputs % 1000, 264);
            Tensor dSomeBias = run.exactOutput(1, 264);
            Tensor dFew = run.exactNormal(264, 8);
            run.kernels()
                .weightGradients(
                    List.of(
                        new WeightGradient(dWide, dWideBias, few, wide, true),
                        new WeightGradient(
                            dSome, dSomeBias, run.normal(rows, outputs % 1000), some, false),
                        new WeightGradient(dFew, null, some, few, true)));
            run.keep(dWide, dWideBias, dSome, dSomeBias, dFew);
          });
    }
  }
}
