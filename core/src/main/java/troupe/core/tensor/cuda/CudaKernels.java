package troupe.core.tensor.cuda;

import java.util.Arrays;
import java.util.stream.IntStream;
import troupe.core.tensor.Activation;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.DType;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.GroupedProducts.Kind;
import troupe.core.tensor.cuda.MatrixProducts.Product;

/**
 * Kernels of {@code dense.cu} and {@code attention.cu}, and products. Launch sizes are those that
 * the kernels' comments name; how sums are cut into parts depends on shapes alone.
 */
final class CudaKernels implements Kernels {
  private static final int MOST_GRID_Y = 65_535;

  private final CudaDevice device;
  private final Launcher launcher;
  private final Transfers transfers;
  private final CudaAttention attention;

  CudaKernels(CudaDevice device) {
    this.device = device;
    this.launcher = device.launcher();
    this.transfers = device.transfers();
    this.attention = new CudaAttention(device);
  }

  private static long in(Tensor tensor) {
    return tensor == null ? 0 : CudaTensor.of(tensor).address();
  }

  private static long out(Tensor tensor) {
    return tensor == null ? 0 : CudaTensor.of(tensor).addressToWrite();
  }

  private static boolean isBf16(Tensor tensor) {
    return tensor.dtype() == DType.BF16;
  }

  private static String typed(String kernel, Tensor tensor) {
    return kernel + (isBf16(tensor) ? "_bf16" : "_f32");
  }

  private static void type(String name, Tensor tensor, DType expected) {
    if (tensor != null && tensor.dtype() != expected) {
      throw new IllegalArgumentException(
          name + ": " + tensor.dtype() + " (expected: " + expected + ")");
    }
  }

  private static void bf16(String name, Tensor tensor) {
    type(name, tensor, DType.BF16);
  }

  private static void f32(String name, Tensor tensor) {
    type(name, tensor, DType.F32);
  }

  /** Queues a kernel over elements of a type. */
  private void overElements(String kernel, Tensor x, Object... arguments) {
    if (x.size() > 0) {
      long each = isBf16(x) ? 8192 : 4096;
      launcher.launch(typed(kernel, x), Grid.line(Math.ceilDiv(x.size(), each), 256), arguments);
    }
  }

  @Override
  public void fill(Tensor x, double value) {
    if (value == 0 && x.size() > 0) {
      device.zero(out(x), x.size() * x.dtype().bytes());
    } else {
      overElements("fill", x, out(x), x.size(), (float) value);
    }
  }

  @Override
  public void copy(Tensor out, Tensor in) {
    if (out.size() == 0) {
      return;
    }
    if (out.dtype() == in.dtype()) {
      device.copy(out(out), in(in), in.size() * in.dtype().bytes());
    } else {
      launcher.launch(
          isBf16(out) ? "cast_f32_bf16" : "cast_bf16_f32",
          Grid.line(Math.ceilDiv(out.size(), 4096), 256),
          out(out),
          in(in),
          out.size());
    }
  }

  @Override
  public void add(Tensor out, Tensor in) {
    type("in", in, out.dtype());
    overElements("add", out, out(out), in(in), out.size());
  }

  @Override
  public void multiply(Tensor out, Tensor a, Tensor b) {
    type("a", a, out.dtype());
    type("b", b, out.dtype());
    overElements("multiply", out, out(out), in(a), in(b), out.size());
  }

  @Override
  public void scale(Tensor x, double factor) {
    overElements("scale", x, out(x), x.size(), (float) factor);
  }

  @Override
  public void matmul(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
    product(out, a, transposeA, b, transposeB, accumulate ? out : null, null);
  }

  @Override
  public void linear(Tensor out_RC, Tensor x, Tensor w, Tensor bias_1C, Tensor residual_RC) {
    product(out_RC, x, false, w, false, residual_RC, bias_1C);
  }

  private void product(
      Tensor out,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      Tensor added,
      Tensor bias) {
    if (out.size() == 0) {
      return;
    }
    int inner = transposeA ? a.rows() : a.columns();
    Kind kind = kind(out, a, transposeA, b, transposeB, added);
    if (kind != null && gather(kind, out, null, a, b, inner, bias, null, added != null)) {
      return;
    }
    if (inner == 0) {
      if (added == null) {
        fill(out, 0);
      }
      return;
    }
    if (!isBf16(out) && !isBf16(b)) {
      exactProduct(out, a, transposeA, b, transposeB, added, bias);
      return;
    }
    if (added != null) {
      type("residual", added, out.dtype());
    }
    device
        .products()
        .multiply(
            new Product(
                out(out),
                out.dtype(),
                out.rows(),
                out.columns(),
                inner,
                operand(a),
                transposeA,
                operand(b),
                transposeB,
                in(added),
                bias == null ? 0 : operand(bias)));
  }

  /** Which product of many it may be, or {@code null} for none. */
  private static Kind kind(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, Tensor added) {
    if (transposeA) {
      boolean gradient = !isBf16(out) && isBf16(a) && isBf16(b) && !transposeB;
      return gradient && (added == null || added == out) ? Kind.TN : null;
    }
    return !isBf16(out) || added != null ? null : transposeB ? Kind.NT : Kind.NN;
  }

  /**
   * Puts a product off that can be done together with those of other experts.
   *
   * @return whether that is so
   */
  private boolean gather(
      Kind kind,
      Tensor out,
      Tensor more,
      Tensor left,
      Tensor right,
      int inner,
      Tensor bias,
      Tensor rightSum,
      boolean accumulate) {
    if (!device.gpu().lanes().gathers()
        || (bias != null && kind != Kind.NN && kind != Kind.NN_GELU)) {
      return false;
    }
    GroupedProducts.Product product =
        new GroupedProducts.Product(
            kind,
            out(out),
            out(more),
            out.rows(),
            out.columns(),
            inner,
            operand(left),
            operand(right),
            in(bias),
            out(rightSum),
            accumulate);
    if (!product.fits()) {
      return false;
    }
    device.gpu().lanes().gather(product);
    return true;
  }

  /**
   * A product of bf16 and float32 that loses nothing of the float32: three bf16 hold all its bits,
   * so the product is three of bf16, side by side as one. The gate's logits and its gradient are of
   * this kind.
   */
  private void exactProduct(
      Tensor out,
      Tensor a,
      boolean transposeA,
      Tensor b,
      boolean transposeB,
      Tensor added,
      Tensor bias) {
    bf16("a", a);
    if (transposeB) {
      throw new IllegalArgumentException("b: float32, transposed (expected: as it is)");
    }
    int columns = b.columns();
    try (Tensor parts = device.allocateActivations(b.rows(), 3 * columns);
        Tensor thirds = device.allocate(out.rows(), 3 * columns);
        Tensor sum = added == null ? null : device.allocate(out.rows(), columns)) {
      overStrips("split3_f32", b.rows(), columns, 128, out(parts), in(b), b.rows(), columns);
      product(thirds, a, transposeA, parts, false, null, null);
      Tensor to = added == null ? out : sum;
      overStrips(
          "add_thirds",
          out.rows(),
          columns,
          128,
          out(to),
          in(thirds),
          in(bias),
          out.rows(),
          columns);
      if (added != null) {
        if (added != out) {
          copy(out, added);
        }
        add(out, sum);
      }
    }
  }

  /** The bf16 elements of a tensor, or those of its copy, brought up to date. */
  private long operand(Tensor tensor) {
    CudaTensor x = CudaTensor.of(tensor);
    if (isBf16(x)) {
      return x.address();
    }
    Block block = x.block();
    if (!block.isShadowCurrent()) {
      if (block.shadow() == 0) {
        block.allocateShadow();
        device.shadowAllocated(block.elements() * DType.BF16.bytes());
      }
      launcher.launch(
          "cast_f32_bf16",
          Grid.line(Math.ceilDiv(block.elements(), 4096), 256),
          block.shadow(),
          block.address(),
          block.elements());
      block.shadowIsCurrent();
    }
    return x.shadowAddress();
  }

  /** A kernel whose blocks take strips of columns and 32 rows. */
  private void overStrips(String kernel, int rows, int columns, int strip, Object... arguments) {
    launcher.launch(
        kernel,
        Grid.plane(
            Math.ceilDiv(columns, strip), Math.min(Math.ceilDiv(rows, 32), MOST_GRID_Y), 256),
        arguments);
  }

  @Override
  public void addBias(Tensor x_RC, Tensor bias_1C) {
    f32("bias_1C", bias_1C);
    if (x_RC.size() > 0) {
      overStrips(
          typed("add_bias", x_RC),
          x_RC.rows(),
          x_RC.columns(),
          isBf16(x_RC) ? 256 : 128,
          out(x_RC),
          in(bias_1C),
          x_RC.rows(),
          x_RC.columns());
    }
  }

  @Override
  public void sumRows(Tensor out_1C, Tensor x_RC) {
    sumRows(out_1C, x_RC, true);
  }

  private void sumRows(Tensor out_1C, Tensor x_RC, boolean accumulate) {
    f32("out_1C", out_1C);
    int columns = x_RC.columns();
    if (x_RC.rows() == 0) {
      if (!accumulate) {
        fill(out_1C, 0);
      }
      return;
    }
    int strips = Math.ceilDiv(columns, isBf16(x_RC) ? 256 : 128);
    int parts = sumParts(x_RC.rows(), strips);
    try (Tensor partial = device.allocate(parts, columns)) {
      launcher.launch(
          typed("sum_rows", x_RC),
          Grid.plane(strips, parts, 256),
          out(partial),
          in(x_RC),
          x_RC.rows(),
          columns,
          parts);
      addParts(out_1C, in(partial), parts, columns, accumulate);
    }
  }

  private static int sumParts(int rows, int strips) {
    return Math.min(Math.ceilDiv(rows, 64), Math.ceilDiv(1056, strips));
  }

  private void addParts(Tensor out, long partial, int parts, int columns, boolean accumulate) {
    launcher.launch(
        "sum_parts",
        Grid.line(Math.ceilDiv(columns, 32), 1024),
        out(out),
        partial,
        parts,
        columns,
        accumulate ? 1 : 0);
  }

  @Override
  public void activationForward(Tensor out_RF, Tensor pre, Activation activation) {
    bf16("out_RF", out_RF);
    bf16("pre", pre);
    if (out_RF.size() > 0) {
      overStrips(
          named("act_forward", activation),
          out_RF.rows(),
          out_RF.columns(),
          256,
          out(out_RF),
          in(pre),
          0L,
          out_RF.rows(),
          out_RF.columns());
    }
  }

  private static String named(String kernel, Activation activation) {
    return kernel
        + switch (activation) {
          case GELU -> "_gelu";
          case RELU -> "_relu";
          case SWIGLU -> "_swiglu";
        };
  }

  @Override
  public void activationBackward(Tensor dPre, Tensor dOut_RF, Tensor pre, Activation activation) {
    bf16("dPre", dPre);
    bf16("dOut_RF", dOut_RF);
    bf16("pre", pre);
    int rows = dOut_RF.rows();
    int ff = dOut_RF.columns();
    if (rows > 0) {
      int strips = Math.ceilDiv(ff, 256);
      int parts = sumParts(rows, strips);
      launcher.launch(
          named("act_backward", activation),
          Grid.plane(strips, parts, 256),
          out(dPre),
          in(dOut_RF),
          in(pre),
          0L,
          rows,
          ff,
          parts);
    }
  }

  @Override
  public void linearActivation(
      Tensor out_RF, Tensor pre, Tensor x, Tensor w, Tensor bias, Activation activation) {
    bf16("out_RF", out_RF);
    bf16("pre", pre);
    if (activation == Activation.GELU
        && pre.size() > 0
        && gather(Kind.NN_GELU, pre, out_RF, x, w, x.columns(), bias, null, false)) {
      return;
    }
    linear(pre, x, w, bias, null);
    activationForward(out_RF, pre, activation);
  }

  @Override
  public void linearActivationBackward(
      Tensor dPre, Tensor dY, Tensor w, Tensor pre, Activation activation) {
    bf16("dPre", dPre);
    bf16("pre", pre);
    if (activation == Activation.GELU
        && dPre.size() > 0
        && dY.columns() > 0
        && isBf16(dY)
        && gather(Kind.NT_GELU, dPre, pre, dY, w, dY.columns(), null, null, false)) {
      return;
    }
    Kernels.super.linearActivationBackward(dPre, dY, w, pre, activation);
  }

  @Override
  public void weightGradient(
      Tensor dW, Tensor dB_1C, Tensor x, Tensor dOut_RC, boolean accumulate) {
    f32("dB_1C", dB_1C);
    Kind kind = kind(dW, x, true, dOut_RC, false, accumulate ? dW : null);
    if (kind != null
        && dW.size() > 0
        && gather(kind, dW, null, x, dOut_RC, x.rows(), null, dB_1C, accumulate)) {
      return;
    }
    matmul(dW, x, true, dOut_RC, false, accumulate);
    if (dB_1C != null) {
      sumRows(dB_1C, dOut_RC, accumulate);
    }
  }

  @Override
  public void embeddingForward(
      Tensor out_TD, int[] tokens_T, Tensor tok_VD, Tensor pos_SD, int seq) {
    bf16("out_TD", out_TD);
    if (tokens_T.length > 0) {
      long tokens = transfers.upload(tokens_T);
      launcher.launch(
          "embedding_forward",
          Grid.line(Math.ceilDiv(tokens_T.length, 8), 256),
          out(out_TD),
          tokens,
          in(tok_VD),
          in(pos_SD),
          tokens_T.length,
          out_TD.columns(),
          seq);
      device.gpu().free(tokens);
    }
  }

  @Override
  public void embeddingBackward(
      Tensor dTok_VD, Tensor dPos_SD, Tensor dOut_TD, int[] tokens_T, int seq) {
    bf16("dOut_TD", dOut_TD);
    int d = dOut_TD.columns();
    if (tokens_T.length == 0) {
      return;
    }
    try (Groups groups = new Groups(tokens_T, dTok_VD.rows())) {
      launcher.launch(
          "embedding_backward_tokens",
          Grid.plane(
              Math.ceilDiv(groups.count, 16), Math.min(Math.ceilDiv(d, 128), MOST_GRID_Y), 512),
          out(dTok_VD),
          in(dOut_TD),
          groups.target,
          groups.start,
          groups.order,
          groups.count,
          d);
    }
    int whole = tokens_T.length / seq;
    positions(dPos_SD, dOut_TD, 0, whole, seq, d);
    // A last sequence that is shorter than the others.
    positions(dPos_SD, dOut_TD, whole * seq, 1, tokens_T.length - whole * seq, d);
  }

  private void positions(Tensor dPos_SD, Tensor dOut_TD, int from, int batch, int seq, int d) {
    if (batch > 0 && seq > 0) {
      launcher.launch(
          "embedding_backward_positions",
          Grid.plane(Math.ceilDiv(seq, 8), Math.min(Math.ceilDiv(d, 128), MOST_GRID_Y), 256),
          out(dPos_SD),
          in(dOut_TD.rows(from, batch * seq)),
          batch,
          seq,
          d);
    }
  }

  /**
   * Indices grouped by value, each group in order, on the device: who adds to one row goes by
   * turns.
   */
  private final class Groups implements AutoCloseable {
    private final int count;
    private final long target;
    private final long start;
    private final long order;

    Groups(int[] values, int bound) {
      int[] next = new int[bound + 1];
      for (int value : values) {
        next[value + 1]++;
      }
      int[] targets = IntStream.range(0, bound).filter(value -> next[value + 1] > 0).toArray();
      int[] starts = new int[targets.length + 1];
      for (int i = 0; i < targets.length; i++) {
        starts[i + 1] = starts[i] + next[targets[i] + 1];
      }
      Arrays.parallelPrefix(next, Integer::sum);
      int[] sorted = new int[values.length];
      for (int i = 0; i < values.length; i++) {
        sorted[next[values[i]]++] = i;
      }
      this.count = targets.length;
      this.target = transfers.upload(targets);
      this.start = transfers.upload(starts);
      this.order = transfers.upload(sorted);
    }

    @Override
    public void close() {
      device.gpu().free(target);
      device.gpu().free(start);
      device.gpu().free(order);
    }
  }

  @Override
  public void layerNormForward(
      Tensor out_TD,
      Tensor mean_T1,
      Tensor rstd_T1,
      Tensor x_TD,
      Tensor gain_1D,
      Tensor bias_1D,
      double epsilon) {
    bf16("out_TD", out_TD);
    bf16("x_TD", x_TD);
    f32("mean_T1", mean_T1);
    f32("rstd_T1", rstd_T1);
    int d = x_TD.columns();
    int rowsOfBlock = d > 2048 ? 1 : d > 1024 ? 2 : d > 512 ? 4 : 8;
    if (x_TD.rows() > 0) {
      launcher.launch(
          "layer_norm_forward",
          Grid.line(Math.ceilDiv(x_TD.rows(), rowsOfBlock), 256),
          out(out_TD),
          out(mean_T1),
          out(rstd_T1),
          in(x_TD),
          in(gain_1D),
          in(bias_1D),
          x_TD.rows(),
          d,
          (float) epsilon);
    }
  }

  @Override
  public void layerNormBackward(
      Tensor dX_TD,
      Tensor dGain_1D,
      Tensor dBias_1D,
      Tensor dOut_TD,
      Tensor x_TD,
      Tensor mean_T1,
      Tensor rstd_T1,
      Tensor gain_1D) {
    bf16("dX_TD", dX_TD);
    bf16("dOut_TD", dOut_TD);
    int rows = x_TD.rows();
    int d = x_TD.columns();
    if (rows == 0) {
      return;
    }
    int parts = Math.min(Math.ceilDiv(rows, 16), 396);
    try (Tensor partial = device.allocate(parts, 2 * d);
        Tensor sums = device.allocate(1, 2 * d)) {
      launcher.launch(
          "layer_norm_backward",
          Grid.line(parts, 256),
          out(dX_TD),
          out(partial),
          in(dOut_TD),
          in(x_TD),
          in(mean_T1),
          in(rstd_T1),
          in(gain_1D),
          rows,
          d,
          parts);
      addParts(sums, in(partial), parts, 2 * d, false);
      add(dGain_1D, sums.slice(0, 1, d));
      add(dBias_1D, sums.slice(d, 1, d));
    }
  }

  @Override
  public Tensor allocateAttentionSaved(int batch, int seq, int heads) {
    return device.allocate(batch * heads, Math.max(1, seq));
  }

  @Override
  public void attentionForward(Tensor out_TD, Tensor saved, Tensor qkv_T3D, int batch, int heads) {
    bf16("out_TD", out_TD);
    bf16("qkv_T3D", qkv_T3D);
    if (out_TD.rows() > 0) {
      attention.forward(
          out(out_TD),
          out(saved),
          in(qkv_T3D),
          new CudaAttention.Shape(batch, out_TD.rows() / batch, heads, out_TD.columns() / heads));
    }
  }

  @Override
  public void attentionBackward(
      Tensor dQkv_T3D,
      Tensor dOut_TD,
      Tensor qkv_T3D,
      Tensor out_TD,
      Tensor saved,
      int batch,
      int heads) {
    bf16("dQkv_T3D", dQkv_T3D);
    bf16("dOut_TD", dOut_TD);
    if (out_TD.rows() > 0) {
      attention.backward(
          out(dQkv_T3D),
          in(dOut_TD),
          in(qkv_T3D),
          in(out_TD),
          in(saved),
          new CudaAttention.Shape(batch, out_TD.rows() / batch, heads, out_TD.columns() / heads));
    }
  }

  @Override
  public void crossEntropy(
      Tensor losses_T1, Tensor dLogits_TV, Tensor logits_TV, int[] targets_T, double scale) {
    bf16("logits_TV", logits_TV);
    bf16("dLogits_TV", dLogits_TV);
    f32("losses_T1", losses_T1);
    if (targets_T.length == 0) {
      return;
    }
    int vocab = logits_TV.columns();
    int row = Math.ceilDiv(2 * vocab, 16) * 16;
    long targets = transfers.upload(targets_T);
    launcher.launch(
        "cross_entropy",
        Grid.line(targets_T.length, 512, row <= device.gpu().sharedBytes() - 1024 ? row : 0),
        out(losses_T1),
        out(dLogits_TV),
        in(logits_TV),
        targets,
        targets_T.length,
        vocab,
        (float) scale);
    device.gpu().free(targets);
  }

  @Override
  public void gatherRows(Tensor out_RD, Tensor in_TD, int[] tokenOfRow_R) {
    bf16("out_RD", out_RD);
    bf16("in_TD", in_TD);
    if (tokenOfRow_R.length > 0) {
      long rowOf = transfers.upload(tokenOfRow_R);
      launcher.launch(
          "gather_rows_bf16",
          Grid.line(Math.ceilDiv(tokenOfRow_R.length, 8), 256),
          out(out_RD),
          in(in_TD),
          rowOf,
          tokenOfRow_R.length,
          in_TD.columns());
      device.gpu().free(rowOf);
    }
  }

  @Override
  public void scatterAddRows(Tensor out_TD, Tensor in_RD, int[] tokenOfRow_R) {
    bf16("out_TD", out_TD);
    bf16("in_RD", in_RD);
    if (tokenOfRow_R.length > 0) {
      try (Groups groups = new Groups(tokenOfRow_R, out_TD.rows())) {
        launcher.launch(
            "scatter_add_rows_bf16",
            Grid.line(Math.ceilDiv(groups.count, 8), 256),
            out(out_TD),
            in(in_RD),
            groups.order,
            groups.start,
            groups.target,
            groups.count,
            out_TD.columns());
      }
    }
  }

  @Override
  public void combineForward(
      Tensor x_TD, Tensor y_RD, int[] tokenOfRow_R, double[] multiplier_R, Tensor omega_1D) {
    bf16("x_TD", x_TD);
    bf16("y_RD", y_RD);
    if (tokenOfRow_R.length > 0) {
      long multiplier = transfers.uploadFloats(multiplier_R);
      try (Groups groups = new Groups(tokenOfRow_R, x_TD.rows())) {
        launcher.launch(
            "combine_forward",
            Grid.line(Math.ceilDiv(groups.count, 8), 256),
            out(x_TD),
            in(y_RD),
            multiplier,
            in(omega_1D),
            groups.order,
            groups.start,
            groups.target,
            groups.count,
            x_TD.columns());
      }
      device.gpu().free(multiplier);
    }
  }

  @Override
  public void combineBackward(
      Tensor dY_RD,
      Tensor s_R1,
      Tensor dOmega_1D,
      Tensor dX_TD,
      Tensor y_RD,
      int[] tokenOfRow_R,
      double[] multiplier_R,
      Tensor omega_1D) {
    bf16("dY_RD", dY_RD);
    bf16("dX_TD", dX_TD);
    int rows = tokenOfRow_R.length;
    int d = dX_TD.columns();
    if (rows == 0) {
      return;
    }
    int parts = Math.min(Math.ceilDiv(rows, 16), 528);
    long tokenOfRow = transfers.upload(tokenOfRow_R);
    long multiplier = transfers.uploadFloats(multiplier_R);
    try (Tensor partial = omega_1D == null ? null : device.allocate(parts, d)) {
      launcher.launch(
          "combine_backward",
          Grid.line(parts, 256),
          out(dY_RD),
          out(s_R1),
          out(partial),
          in(dX_TD),
          in(y_RD),
          tokenOfRow,
          multiplier,
          in(omega_1D),
          rows,
          d,
          parts);
      if (partial != null) {
        addParts(dOmega_1D, in(partial), parts, d, true);
      }
    }
    device.gpu().free(tokenOfRow);
    device.gpu().free(multiplier);
  }

  @Override
  public void sumSquares(Tensor out_11, Tensor x) {
    f32("out_11", out_11);
    if (x.size() == 0) {
      fill(out_11, 0);
      return;
    }
    int parts = (int) Math.min(Math.ceilDiv(x.size(), 16_384), 1056);
    // Doubles in a tensor of floats: twice as many.
    try (Tensor partial = device.allocate(parts, 2)) {
      launcher.launch(
          typed("sum_squares", x), Grid.line(parts, 256), out(partial), in(x), x.size(), parts);
      launcher.launch("sum_squares_end", Grid.line(1, 256), out(out_11), in(partial), parts);
    }
  }

  @Override
  public void adamw(
      Tensor param, Tensor m, Tensor v, Tensor grad, AdamWStep step, double weightDecay) {
    f32("param", param);
    f32("grad", grad);
    if (param.size() == 0) {
      return;
    }
    CudaTensor parameters = CudaTensor.of(param);
    // Written together with the parameters, so that it stays as current as it was.
    long shadow = parameters.block().shadow() == 0 ? 0 : parameters.shadowAddress();
    launcher.launch(
        "adamw",
        Grid.line(Math.ceilDiv(param.size(), 1024), 256),
        parameters.address(),
        out(m),
        out(v),
        in(grad),
        shadow,
        param.size(),
        (float) step.gradientScale(),
        (float) step.beta1(),
        (float) step.beta2(),
        (float) (1 - step.learningRate() * weightDecay),
        (float) (step.learningRate() / (1 - Math.pow(step.beta1(), step.step()))),
        (float) (1 / Math.sqrt(1 - Math.pow(step.beta2(), step.step()))),
        (float) step.epsilon());
  }
}
