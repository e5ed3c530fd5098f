package troupe.core.tensor.check;

import java.util.ArrayList;
import java.util.List;
import troupe.core.tensor.Activation;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.WeightGradient;
import troupe.core.tensor.check.KernelCase.Body;

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

  private final List<KernelCase> cases = new ArrayList<>();

  private KernelCases() {}

  /** Every kernel at every shape. */
  public static List<KernelCase> all() {
    KernelCases table = new KernelCases();
    for (int[] shape : MATRICES) {
      table.elementwise(shape[0], shape[1]);
      table.rows(shape[0], shape[1]);
      table.routing(shape[0], shape[1]);
    }
    for (int[] shape : WIDE) {
      table.rows(shape[0], shape[1]);
      table.routing(shape[0], shape[1]);
    }
    table.commonTokens();
    table.directions();
    table.products();
    table.layers();
    table.slopes();
    table.weightGradients();
    table.experts();
    table.gradientSquares();
    table.attention();
    return table.cases;
  }

  private void add(String name, Body body) {
    cases.add(new KernelCase(name, body));
  }

  private void elementwise(int rows, int columns) {
    String shape = " " + rows + " x " + columns;
    add(
        "fill" + shape,
        run -> {
          Tensor x = run.output(rows, columns);
          run.kernels().fill(x, 1.25);
          run.keep(x);
        });
    add(
        "copy" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          run.kernels().copy(out, run.normal(rows, columns));
          run.keep(out);
        });
    add(
        "add" + shape,
        run -> {
          Tensor out = run.normal(rows, columns);
          run.kernels().add(out, run.normal(rows, columns));
          run.keep(out);
        });
    add(
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
    add(
        "scale" + shape,
        run -> {
          Tensor x = run.normal(rows, columns);
          run.kernels().scale(x, -0.375);
          run.keep(x);
        });
    for (Activation activation : Activation.values()) {
      activation(rows, columns, activation);
    }
    add(
        "sumSquares" + shape,
        run -> {
          Tensor out = run.exactOutput(1, 1);
          run.kernels().sumSquares(out, run.exactNormal(rows, columns));
          run.keep(out);
        });
    add(
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

  private void activation(int rows, int columns, Activation activation) {
    String shape = " " + rows + " x " + columns;
    int width = activation.preWidth(columns);
    // Where an activation bends, and where it is all but straight.
    for (int scale : new int[] {3, 30}) {
      add(
          "activationForward " + activation + shape + " of " + scale,
          run -> {
            Tensor out = run.output(rows, columns);
            Tensor pre = run.normal(rows, width);
            run.kernels().scale(pre, scale);
            run.kernels().activationForward(out, pre, activation);
            run.keep(out);
          });
      add(
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

  private void rows(int rows, int columns) {
    String shape = " " + rows + " x " + columns;
    add(
        "addBias" + shape,
        run -> {
          Tensor x = run.normal(rows, columns);
          run.kernels().addBias(x, run.exactNormal(1, columns));
          run.keep(x);
        });
    add(
        "sumRows" + shape,
        run -> {
          Tensor out = run.exactNormal(1, columns);
          run.kernels().sumRows(out, run.normal(rows, columns));
          run.keep(out);
        });
    add(
        "layerNormForward" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          Tensor mean = run.exactOutput(rows, 1);
          Tensor rstd = run.exactOutput(rows, 1);
          run.kernels()
              .layerNormForward(
                  out,
                  mean,
                  rstd,
                  run.normal(rows, columns),
                  run.exactNormal(1, columns),
                  run.exactNormal(1, columns),
                  1e-5);
          run.keep(out, mean, rstd);
        });
    add(
        "layerNormBackward" + shape,
        run -> {
          Tensor dX = run.normal(rows, columns);
          Tensor dGain = run.exactNormal(1, columns);
          Tensor dBias = run.exactNormal(1, columns);
          run.kernels()
              .layerNormBackward(
                  dX,
                  dGain,
                  dBias,
                  run.normal(rows, columns),
                  run.normal(rows, columns),
                  run.exactUniform(rows, 1),
                  run.exactUniform(rows, 1),
                  run.exactNormal(1, columns));
          run.keep(dX, dGain, dBias);
        });
    add(
        "crossEntropy" + shape,
        run -> {
          Tensor losses = run.exactOutput(rows, 1);
          Tensor dLogits = run.output(rows, columns);
          Tensor logits = run.normal(rows, columns);
          run.kernels().scale(logits, 4);
          int[] targets = run.indices(rows, columns);
          run.kernels().crossEntropy(losses, dLogits, logits, targets, 0.125);
          Tensor lossesAlone = run.exactOutput(rows, 1);
          run.kernels().crossEntropy(lossesAlone, null, logits, targets, 0.125);
          Tensor lossesInPlace = run.exactOutput(rows, 1);
          run.kernels().crossEntropy(lossesInPlace, logits, logits, targets, 0.125);
          run.keep(losses, dLogits, lossesAlone, lossesInPlace, logits);
        });
    int seq = Math.max(1, rows / 3);
    add(
        "embeddingForward" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          run.kernels()
              .embeddingForward(
                  out,
                  run.indices(rows, 11),
                  run.exactNormal(11, columns),
                  run.exactNormal(seq + 2, columns),
                  seq);
          run.keep(out);
        });
    add(
        "embeddingBackward" + shape,
        run -> {
          Tensor dTok = run.exactNormal(11, columns);
          Tensor dPos = run.exactNormal(seq + 2, columns);
          run.kernels()
              .embeddingBackward(dTok, dPos, run.normal(rows, columns), run.indices(rows, 11), seq);
          run.keep(dTok, dPos);
        });
  }

  /** As in a text: a few tokens own most of the rows, most others a row or none. */
  private void commonTokens() {
    int seq = 64;
    int[] tokens = new int[3 * seq + 5];
    for (int i = 0; i < tokens.length; i++) {
      tokens[i] = i % 4 == 0 ? 40 : i % 4 == 1 ? i % 97 : 0;
    }
    for (int columns : new int[] {1, 37, 264, 1024}) {
      add(
          "embedding of common tokens " + tokens.length + " x " + columns,
          run -> {
            Tensor tok = run.exactNormal(97, columns);
            Tensor pos = run.exactNormal(seq, columns);
            Tensor out = run.output(tokens.length, columns);
            run.kernels().embeddingForward(out, tokens, tok, pos, seq);
            Tensor dOut = run.normal(tokens.length, columns);
            run.kernels().embeddingBackward(tok, pos, dOut, tokens, seq);
            run.keep(out, tok, pos);
          });
    }
  }

  private void routing(int rows, int columns) {
    String shape = " " + rows + " x " + columns;
    int tokens = rows / 2 + 1;
    add(
        "gatherRows" + shape,
        run -> {
          Tensor out = run.output(rows, columns);
          run.kernels().gatherRows(out, run.normal(tokens, columns), run.indices(rows, tokens));
          run.keep(out);
        });
    add(
        "scatterAddRows" + shape,
        run -> {
          Tensor out = run.normal(tokens, columns);
          run.kernels().scatterAddRows(out, run.normal(rows, columns), run.indices(rows, tokens));
          run.keep(out);
        });
    for (boolean weighted : new boolean[] {false, true}) {
      String omega = weighted ? " with omega" : " without omega";
      add(
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
      add(
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

  private void directions() {
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
      add(
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

  private void products() {
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
        add(
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

  private void layers() {
    int[][] sizes = {
      {0, 5, 7}, {1, 1, 1}, {5, 13, 37}, {33, 48, 61}, {77, 40, 264}, {130, 64, 256}
    };
    for (int[] size : sizes) {
      int rows = size[0];
      int inputs = size[1];
      int outputs = size[2];
      String shape = " " + rows + " x " + inputs + " x " + outputs;
      add(
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
      add(
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
            add(
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
  private void slopes() {
    for (Activation activation : List.of(Activation.GELU, Activation.RELU)) {
      for (double at : new double[] {-100, -1.40625, 0, 1.40625, 100}) {
        for (boolean ofExpert : new boolean[] {false, true}) {
          add(
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

  /**
   * Gradients of several layers at a time: few results, and so many that a GPU does them in one
   * launch, with tiles of every kind in part and in whole.
   */
  private void weightGradients() {
    int[][] sizes = { // rows, outputs of the first layer
      {0, 51_208}, {5, 51_208}, {70, 520}, {33, 61}
    };
    for (int[] size : sizes) {
      int rows = size[0];
      int outputs = size[1];
      add(
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

  /**
   * What experts ask for in turn and a device may do together: batches of different sizes, none
   * among them, with tiles of every kind in part and in whole, and gradients over two batches.
   */
  private void experts() {
    int[] rows = {70, 0, 1, 300, 64};
    // The last two have more than eight tiles of rows, among which sums of biases are shared.
    int[][] widths = {{5, 7}, {64, 136}, {40, 520}, {264, 72}, {1160, 72}, {72, 1160}};
    for (int[] width : widths) {
      // Not RELU: where it bends, what is rounded decides whether there is a gradient at all.
      for (Activation activation : List.of(Activation.GELU, Activation.SWIGLU)) {
        int d = width[0];
        int ff = width[1];
        add(
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
  private void gradientSquares() {
    int[] rows = {70, 0, 1, 130};
    int[][] widths = {{5, 7}, {8, 8}, {24, 264}, {136, 520}};
    for (int[] width : widths) {
      add(
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

  private void attention() {
    int[][] sizes = { // batch, seq, heads, width of a head
      {1, 0, 2, 3},
      {1, 1, 1, 1},
      {2, 1, 2, 4},
      {2, 7, 3, 5},
      {1, 64, 2, 8},
      {2, 65, 2, 7},
      {1, 130, 1, 16},
      {2, 37, 3, 64},
      {1, 129, 2, 128},
      {1, 65, 1, 100}
    };
    for (int[] size : sizes) {
      int batch = size[0];
      int seq = size[1];
      int heads = size[2];
      int tokens = batch * seq;
      int width = heads * size[3];
      add(
          "attention batch " + batch + " seq " + seq + " heads " + heads + " x " + size[3],
          run -> {
            Tensor out = run.output(tokens, width);
            Tensor saved = run.own(run.kernels().allocateAttentionSaved(batch, seq, heads));
            Tensor qkv = run.normal(tokens, 3 * width);
            run.kernels().attentionForward(out, saved, qkv, batch, heads);
            Tensor dQkv = run.output(tokens, 3 * width);
            Tensor dOut = run.normal(tokens, width);
            run.kernels().attentionBackward(dQkv, dOut, qkv, out, saved, batch, heads);
            run.keep(out, dQkv);
          });
    }
  }
}
