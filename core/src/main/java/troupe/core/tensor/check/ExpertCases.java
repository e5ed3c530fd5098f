package troupe.core.tensor.check;

import java.util.ArrayList;
import java.util.List;
import troupe.core.tensor.Activation;
import troupe.core.tensor.Tensor;

/** What experts ask for beside each other. */
final class ExpertCases {
  private ExpertCases() {}

  /**
   * What experts ask for in turn and a device may do together: batches of different sizes, none
   * among them, with tiles of every kind in part and in whole, and gradients over two batches.
   */
  static void experts(CaseTable table) {
    int[] rows = {70, 0, 1, 300, 64};
    // The last two have more than eight tiles of rows, among which sums of biases are shared.
    int[][] widths = {{5, 7}, {64, 136}, {40, 520}, {264, 72}, {1160, 72}, {72, 1160}};
    for (int[] width : widths) {
      // Not RELU: where it bends, what is rounded decides whether there is a gradient at all.
      for (Activation activation : List.of(Activation.GELU, Activation.SWIGLU)) {
        int d = width[0];
        int ff = width[1];
        table.add(
            "experts " + activation + " " + d + " x " + ff,
            run -> {
              List<Expert> experts = new ArrayList<>();
              for (int count : rows) {
                experts.add(new Expert(run, count, d, ff, activation));
              }
              run.concurrently(experts.size(), e -> experts.get(e).forward());
              run.concurrently(experts.size(), e -> experts.get(e).backward());
              experts.forEach(Expert::keep);
            });
      }
    }
  }

  /** One batch of an expert, and the tensors of its parameters. */
  private static final class Expert {
    private final KernelCase.Run run;
    private final Activation activation;
    private final Tensor x;
    private final Tensor dY;
    private final Tensor w1;
    private final Tensor b1;
    private final Tensor w2;
    private final Tensor b2;
    private final Tensor kept;
    private final Tensor dPre;
    private final Tensor hidden;
    private final Tensor y;
    private final Tensor dX;
    private final Tensor dW1;
    private final Tensor dB1;
    private final Tensor dW2;
    private final Tensor dB2;

    Expert(KernelCase.Run run, int rows, int d, int ff, Activation activation) {
      this.run = run;
      this.activation = activation;
      int width = activation.preWidth(ff);
      x = run.normal(rows, d);
      dY = run.normal(rows, d);
      w1 = run.exactNormal(d, width);
      b1 = run.exactNormal(1, width);
      w2 = run.exactNormal(ff, d);
      b2 = run.exactNormal(1, d);
      // Sums of about one.
      run.kernels().scale(w1, 1 / Math.sqrt(d));
      run.kernels().scale(w2, 1 / Math.sqrt(ff));
      kept = run.output(rows, run.kernels().keptWidth(ff, activation));
      dPre = run.kernels().overwritesKept(ff, activation) ? kept : run.output(rows, width);
      hidden = run.output(rows, ff);
      y = run.output(rows, d);
      dX = run.output(rows, d);
      dW1 = run.exactOutput(d, width);
      dB1 = run.exactOutput(1, width);
      dW2 = run.exactNormal(ff, d);
      dB2 = run.exactNormal(1, d);
    }

    void forward() {
      run.kernels().linearActivation(hidden, kept, x, w1, b1, activation);
      run.kernels().linear(y, hidden, w2, b2, null);
    }

    void backward() {
      run.kernels().linearActivationBackward(dPre, dY, w2, kept, activation);
      run.kernels().matmul(dX, dPre, false, w1, true, false);
      run.kernels().weightGradient(dW1, dB1, x, dPre, false);
      run.kernels().weightGradient(dW2, dB2, hidden, dY, true);
    }

    void keep() {
      run.keep(y, dX, dB2, rounded(dB1), rounded(dW1), rounded(dW2));
    }

    /** What was computed of activations is no more exact than they are. */
    private Tensor rounded(Tensor gradient) {
      Tensor rounded = run.output(gradient.rows(), gradient.columns());
      run.kernels().copy(rounded, gradient);
      return rounded;
    }
  }

  /**
   * Sums of squares of experts' gradients, which a device may know from the products that wrote
   * them: of all, of parts, and when something else has written since.
   */
  static void gradientSquares(CaseTable table) {
    int[] rows = {70, 0, 1, 130};
    int[][] widths = {{5, 7}, {8, 8}, {24, 264}, {136, 520}};
    for (int[] width : widths) {
      table.add(
          "sumSquares of gradients " + width[0] + " x " + width[1],
          run -> {
            List<Gradient> gradients = new ArrayList<>();
            for (int count : rows) {
              gradients.add(new Gradient(run, count, width[0], width[1]));
            }
            for (boolean accumulate : new boolean[] {false, true}) {
              run.concurrently(rows.length, e -> gradients.get(e).multiply(accumulate));
              run.concurrently(rows.length, e -> gradients.get(e).sum());
            }
            run.concurrently(rows.length, e -> gradients.get(e).sumAfterOtherWrites());
          });
    }
  }

  /** The gradient of an expert, as one tensor. */
  private static final class Gradient {
    private final KernelCase.Run run;
    private final Tensor x;
    private final Tensor dPre;
    private final Tensor hidden;
    private final Tensor dY;
    private final Tensor flat;
    private final Tensor dW1;
    private final Tensor dB1;
    private final Tensor dW2;
    private final Tensor dB2;

    Gradient(KernelCase.Run run, int rows, int d, int ff) {
      this.run = run;
      x = run.normal(rows, d);
      dPre = run.normal(rows, ff);
      hidden = run.normal(rows, ff);
      dY = run.normal(rows, d);
      int matrix = d * ff;
      flat = run.exactOutput(1, 2 * matrix + ff + d);
      dW1 = flat.slice(0, d, ff);
      dB1 = flat.slice(matrix, 1, ff);
      dW2 = flat.slice(matrix + ff, ff, d);
      dB2 = flat.slice(2L * matrix + ff, 1, d);
    }

    void multiply(boolean accumulate) {
      run.kernels().weightGradient(dW1, dB1, x, dPre, accumulate);
      run.kernels().weightGradient(dW2, dB2, hidden, dY, accumulate);
    }

    void sum() {
      sum(flat);
      sum(dW2);
      // From the midst of one matrix on.
      sum(flat.slice(1, 1, Math.toIntExact(flat.size() - 1)));
    }

    void sumAfterOtherWrites() {
      run.kernels().scale(dW1.rows(1, 2), 3);
      run.kernels().fill(dB2, 2);
      sum(flat);
      run.kernels().fill(dW2.rows(0, 1), 0);
      sum(flat);
    }

    private void sum(Tensor of) {
      Tensor out = run.exactOutput(1, 1);
      run.kernels().sumSquares(out, of);
      run.keep(out);
    }
  }
}
