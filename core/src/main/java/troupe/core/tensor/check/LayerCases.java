package troupe.core.tensor.check;

import java.util.List;
import troupe.core.tensor.Activation;
import troupe.core.tensor.Tensor;

/** Layers with bias and activation, there and back. */
final class LayerCases {
  private LayerCases() {}

  static void layers(CaseTable table) {
    int[][] sizes = {
      {0, 5, 7}, {1, 1, 1}, {5, 13, 37}, {33, 48, 61}, {77, 40, 264}, {130, 64, 256}
    };
    for (int[] size : sizes) {
      int rows = size[0];
      int inputs = size[1];
      int outputs = size[2];
      String shape = " " + rows + " x " + inputs + " x " + outputs;
      table.add(
          "linear" + shape,
          run -> {
            Tensor x = run.normal(rows, inputs);
            Tensor w = run.exactNormal(inputs, outputs);
            Tensor bias = run.exactNormal(1, outputs);
            Tensor plain = run.output(rows, outputs);
            Tensor added = run.output(rows, outputs);
            Tensor exact = run.exactOutput(rows, outputs);
            run.kernels().linear(plain, x, w, null, null);
            run.kernels().linear(added, x, w, bias, run.normal(rows, outputs));
            run.kernels().linear(exact, x, w, bias, null);
            run.keep(plain, added, exact);
          });
      table.add(
          "weightGradient" + shape,
          run -> {
            Tensor x = run.normal(rows, inputs);
            Tensor dOut = run.normal(rows, outputs);
            Tensor dW = run.exactOutput(inputs, outputs);
            Tensor dB = run.exactOutput(1, outputs);
            Tensor more = run.exactNormal(inputs, outputs);
            run.kernels().weightGradient(dW, dB, x, dOut, false);
            run.kernels().weightGradient(more, null, x, dOut, true);
            Tensor exactW = run.exactNormal(inputs, outputs);
            Tensor exactB = run.exactNormal(1, outputs);
            run.kernels().weightGradient(exactW, exactB, x, run.exactNormal(rows, outputs), true);
            run.keep(dW, dB, more, exactW, exactB);
          });
      for (Activation activation : Activation.values()) {
        for (boolean forwardOfExpert : new boolean[] {false, true}) {
          // Where rows are no whole vectors, everybody's products go one way.
          boolean[] others =
              outputs % 8 == 0 ? new boolean[] {false, true} : new boolean[] {!forwardOfExpert};
          for (boolean backwardOfExpert : others) {
            table.add(
                "linearActivation "
                    + activation
                    + shape
                    + (forwardOfExpert ? ", forward of an expert" : "")
                    + (backwardOfExpert ? ", backward of an expert" : ""),
                run ->
                    linearActivation(
                        run, rows, inputs, outputs, activation, forwardOfExpert, backwardOfExpert));
          }
        }
      }
    }
  }

  /**
   * A layer there and back. Experts' products may go other ways on a device than those of others,
   * and what one way keeps the other has to understand.
   */
  private static void linearActivation(
      KernelCase.Run run,
      int rows,
      int inputs,
      int outputs,
      Activation activation,
      boolean forwardOfExpert,
      boolean backwardOfExpert) {
    int width = activation.preWidth(outputs);
    Tensor x = run.normal(rows, inputs);
    Tensor w = run.exactNormal(inputs, width);
    Tensor bias = run.exactNormal(1, width);
    if (activation == Activation.RELU) {
      // Where it bends, what is rounded would decide whether there is a gradient at all.
      run.kernels().scale(w, 0.5 / Math.sqrt(inputs));
      run.moveFromZero(bias, 2);
    }
    Tensor dY = run.normal(rows, inputs);
    Tensor back = run.exactNormal(outputs, inputs);
    Tensor out = run.output(rows, outputs);
    Tensor kept = run.output(rows, run.kernels().keptWidth(outputs, activation));
    Tensor dPre = run.output(rows, width);
    // In place where a device can do that.
    Tensor again =
        run.kernels().overwritesKept(outputs, activation) ? kept : run.output(rows, width);
    run.work(
        forwardOfExpert, () -> run.kernels().linearActivation(out, kept, x, w, bias, activation));
    run.work(
        backwardOfExpert,
        () -> {
          run.kernels().linearActivationBackward(dPre, dY, back, kept, activation);
          run.kernels().linearActivationBackward(again, dY, back, kept, activation);
        });
    run.keep(out, dPre, again);
  }

  /**
   * Slopes that a layer may keep in few bits: the least and the greatest, and those that are whole.
   * Half of the results are so far up that nothing but the slope is at stake, which is one there.
   */
  static void slopes(CaseTable table) {
    for (Activation activation : List.of(Activation.GELU, Activation.RELU)) {
      for (double at : new double[] {-100, -1.40625, 0, 1.40625, 100}) {
        for (boolean ofExpert : new boolean[] {false, true}) {
          table.add(
              "slope of " + activation + " at " + at + (ofExpert ? ", of an expert" : ""),
              run -> {
                Tensor bias = run.exactOutput(1, 8);
                bias.set(new double[] {at, at, at, at, 100, 100, 100, 100});
                Tensor x = run.output(3, 8);
                Tensor dY = run.output(3, 8);
                Tensor ones = run.exactOutput(8, 8);
                run.kernels().fill(x, 0);
                run.kernels().fill(dY, 0.125);
                run.kernels().fill(ones, 1);
                Tensor out = run.output(3, 8);
                Tensor kept = run.output(3, run.kernels().keptWidth(8, activation));
                Tensor dPre = run.output(3, 8);
                run.work(
                    ofExpert,
                    () -> {
                      run.kernels().linearActivation(out, kept, x, ones, bias, activation);
                      run.kernels().linearActivationBackward(dPre, dY, ones, kept, activation);
                    });
                run.keep(out, dPre);
              });
        }
      }
    }
  }
}
