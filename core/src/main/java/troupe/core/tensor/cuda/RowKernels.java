package troupe.core.tensor.cuda;

import static troupe.core.tensor.cuda.Operands.bf16;
import static troupe.core.tensor.cuda.Operands.f32;
import static troupe.core.tensor.cuda.Operands.in;
import static troupe.core.tensor.cuda.Operands.isBf16;
import static troupe.core.tensor.cuda.Operands.out;
import static troupe.core.tensor.cuda.Operands.typed;

import troupe.core.tensor.Activation;
import troupe.core.tensor.Tensor;

/** Kernels of {@code dense.cu} over the rows of a matrix, each by itself or summed. */
interface RowKernels extends KernelPart {
  @Override
  default void addBias(Tensor x_RC, Tensor bias_1C) {
    f32("bias_1C", bias_1C);
    if (x_RC.size() > 0) {
      launch(
          typed("add_bias", x_RC),
          Grid.strips(x_RC.rows(), x_RC.columns(), isBf16(x_RC) ? 256 : 128),
          out(x_RC),
          in(bias_1C),
          x_RC.rows(),
          x_RC.columns());
    }
  }

  @Override
  default void sumRows(Tensor out_1C, Tensor x_RC) {
    RowSums.sum(device(), out_1C, x_RC, true);
  }

  @Override
  default void activationForward(Tensor out_RF, Tensor pre, Activation activation) {
    bf16("out_RF", out_RF);
    bf16("pre", pre);
    if (out_RF.size() > 0) {
      launch(
          named("act_forward", activation),
          Grid.strips(out_RF.rows(), out_RF.columns(), 256),
          out(out_RF),
          in(pre),
          out_RF.rows(),
          out_RF.columns());
    }
  }

  /** The name of a kernel for an activation. */
  static String named(String kernel, Activation activation) {
    return kernel
        + switch (activation) {
          case GELU -> "_gelu";
          case RELU -> "_relu";
          case SWIGLU -> "_swiglu";
        };
  }

  @Override
  default void activationBackward(Tensor dPre, Tensor dOut_RF, Tensor pre, Activation activation) {
    bf16("dPre", dPre);
    bf16("dOut_RF", dOut_RF);
    bf16("pre", pre);
    int rows = dOut_RF.rows();
    int ff = dOut_RF.columns();
    if (rows > 0) {
      int strips = Math.ceilDiv(ff, 256);
      int parts = RowSums.parts(rows, strips);
      launch(
          named("act_backward", activation),
          Grid.plane(strips, parts, 256),
          out(dPre),
          in(dOut_RF),
          in(pre),
          rows,
          ff,
          parts);
    }
  }

  @Override
  default void layerNormForward(
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
    int shared = d % 8 == 0 && d <= 8192 ? 2 * d * Float.BYTES : 0;
    if (x_TD.rows() > 0) {
      launch(
          "layer_norm_forward",
          Grid.line(Math.min(Math.ceilDiv(x_TD.rows(), 8), 528), 256, shared),
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
  default void layerNormBackward(
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
    int parts = Math.min(Math.ceilDiv(rows, 16), 264);
    try (Tensor partial = device().allocate(parts, 2 * d)) {
      launch(
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
      RowSums.addHalves(device(), dGain_1D, dBias_1D, in(partial), parts);
    }
  }

  @Override
  default void crossEntropy(
      Tensor losses_T1, Tensor dLogits_TV, Tensor logits_TV, int[] targets_T, double scale) {
    bf16("logits_TV", logits_TV);
    bf16("dLogits_TV", dLogits_TV);
    f32("losses_T1", losses_T1);
    if (targets_T.length == 0) {
      return;
    }
    int vocab = logits_TV.columns();
    int row = Math.ceilDiv(2 * vocab, 16) * 16;
    try (Scratch targets = device().transfers().upload(targets_T)) {
      launch(
          "cross_entropy",
          Grid.line(targets_T.length, 512, row <= device().gpu().sharedBytes() - 1024 ? row : 0),
          out(losses_T1),
          out(dLogits_TV),
          in(logits_TV),
          targets,
          targets_T.length,
          vocab,
          (float) scale);
    }
  }
}
