package troupe.core.tensor.check;

import troupe.core.tensor.Activation;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Tensor;

/** Kernels whose results have each the element at its place, and sums over all of them. */
final class ElementCases {
  private ElementCases() {}

  static void elementwise(CaseTable table, int rows, int columns) {
    String shape = " " + rows + " x " + columns;
    table.add(
        "fill" + shape,
        run -> {
          Tensor x = run.output(rows, columns);
          run.kernels().fill(x, 1.25);
          run.keep(x);
        });
    table.add(
        "copy" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          run.kernels().copy(out, run.normal(rows, columns));
          run.keep(out);
        });
    table.add(
        "add" + shape,
        run -> {
          Tensor out = run.normal(rows, columns);
          run.kernels().add(out, run.normal(rows, columns));
          run.keep(out);
        });
    table.add(
        "multiply" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          Tensor a = run.normal(rows, columns);
          Tensor b = run.normal(rows, columns);
          run.kernels().multiply(out, a, b);
          run.kernels().multiply(a, a, b);
          run.kernels().multiply(b, out, b);
          run.keep(out, a, b);
        });
    table.add(
        "scale" + shape,
        run -> {
          Tensor x = run.normal(rows, columns);
          run.kernels().scale(x, -0.375);
          run.keep(x);
        });
    for (Activation activation : Activation.values()) {
      activation(table, rows, columns, activation);
    }
    table.add(
        "sumSquares" + shape,
        run -> {
          Tensor out = run.exactOutput(1, 1);
          run.kernels().sumSquares(out, run.exactNormal(rows, columns));
          run.keep(out);
        });
    table.add(
        "adamw" + shape,
        run -> {
          Tensor param = run.exactNormal(rows, columns);
          Tensor m = run.exactNormal(rows, columns);
          Tensor v = run.exactUniform(rows, columns);
          Tensor grad = run.exactNormal(rows, columns);
          AdamWStep step = new AdamWStep(1e-2, 0.9, 0.99, 1e-8, 3, 0.5);
          run.kernels().adamw(param, m, v, grad, step, 0.1);
          run.keep(param, m, v);
        });
  }

  private static void activation(CaseTable table, int rows, int columns, Activation activation) {
    String shape = " " + rows + " x " + columns;
    int width = activation.preWidth(columns);
    // Where an activation bends, and where it is all but straight.
    for (int scale : new int[] {3, 30}) {
      table.add(
          "activationForward " + activation + shape + " of " + scale,
          run -> {
            Tensor out = run.output(rows, columns);
            Tensor pre = run.normal(rows, width);
            run.kernels().scale(pre, scale);
            run.kernels().activationForward(out, pre, activation);
            run.keep(out);
          });
      table.add(
          "activationBackward " + activation + shape + " of " + scale,
          run -> {
            Tensor dPre = run.output(rows, width);
            Tensor dOut = run.normal(rows, columns);
            Tensor pre = run.normal(rows, width);
            run.kernels().scale(pre, scale);
            run.kernels().activationBackward(dPre, dOut, pre, activation);
            run.keep(dPre);
            if (width == columns) {
              run.kernels().activationBackward(dOut, dOut, pre, activation);
              run.keep(dOut);
            }
          });
    }
  }
}
