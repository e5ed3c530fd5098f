package troupe.core.tensor;

import static troupe.core.tensor.Shapes.atLeast;
import static troupe.core.tensor.Shapes.indices;
import static troupe.core.tensor.Shapes.length;
import static troupe.core.tensor.Shapes.shape;

import java.util.List;
import java.util.Objects;

/**
 * Checks every argument and passes the call on: the one place that knows which shapes fit together,
 * so that the kernels of a device can trust theirs. A wrong index would otherwise be a write into
 * somebody else's native memory.
 */
public final class CheckedKernels implements Kernels {
  private final Device device;
  private final Kernels kernels;

  /**
   * Kernels that check.
   *
   * @param device what all tensors have to be on
   * @param kernels what computes
   */
  public CheckedKernels(Device device, Kernels kernels) {
    this.device = Objects.requireNonNull(device, "device");
    this.kernels = Objects.requireNonNull(kernels, "kernels");
  }

  @Override
  public void fill(Tensor x, double value) {
    here("x", x);
    kernels.fill(x, value);
  }

  @Override
  public void copy(Tensor out, Tensor in) {
    here("out", out);
    same("in", in, out);
    kernels.copy(out, in);
  }

  @Override
  public void add(Tensor out, Tensor in) {
    here("out", out);
    same("in", in, out);
    kernels.add(out, in);
  }

  @Override
  public void multiply(Tensor out, Tensor a, Tensor b) {
    here("out", out);
    same("a", a, out);
    same("b", b, out);
    kernels.multiply(out, a, b);
  }

  @Override
  public void scale(Tensor x, double factor) {
    here("x", x);
    kernels.scale(x, factor);
  }

  @Override
  public void matmul(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
    here("a", a);
    int m = transposeA ? a.columns() : a.rows();
    int k = transposeA ? a.rows() : a.columns();
    here("b", b);
    int n = transposeB ? b.rows() : b.columns();
    shape("b", b, transposeB ? n : k, transposeB ? k : n);
    check("out", out, m, n);
    kernels.matmul(out, a, transposeA, b, transposeB, accumulate);
  }

  @Override
  public void addBias(Tensor x_RC, Tensor bias_1C) {
    here("x_RC", x_RC);
    check("bias_1C", bias_1C, 1, x_RC.columns());
    kernels.addBias(x_RC, bias_1C);
  }

  @Override
  public void sumRows(Tensor out_1C, Tensor x_RC) {
    here("x_RC", x_RC);
    check("out_1C", out_1C, 1, x_RC.columns());
    kernels.sumRows(out_1C, x_RC);
  }

  @Override
  public void activationForward(Tensor out_RF, Tensor pre, Activation activation) {
    here("out_RF", out_RF);
    check("pre", pre, out_RF.rows(), activation.preWidth(out_RF.columns()));
    kernels.activationForward(out_RF, pre, activation);
  }

  @Override
  public void activationBackward(Tensor dPre, Tensor dOut_RF, Tensor pre, Activation activation) {
    here("dOut_RF", dOut_RF);
    check("pre", pre, dOut_RF.rows(), activation.preWidth(dOut_RF.columns()));
    same("dPre", dPre, pre);
    kernels.activationBackward(dPre, dOut_RF, pre, activation);
  }

  @Override
  public void linear(Tensor out_RC, Tensor x, Tensor w, Tensor bias_1C, Tensor residual_RC) {
    product("out_RC", out_RC, "x", x, "w", w);
    if (bias_1C != null) {
      check("bias_1C", bias_1C, 1, w.columns());
    }
    if (residual_RC != null) {
      same("residual_RC", residual_RC, out_RC);
    }
    kernels.linear(out_RC, x, w, bias_1C, residual_RC);
  }

  @Override
  public int keptWidth(int ff, Activation activation) {
    return kernels.keptWidth(ff, activation);
  }

  @Override
  public boolean overwritesKept(int ff, Activation activation) {
    return kernels.overwritesKept(ff, activation);
  }

  @Override
  public void linearActivation(
      Tensor out_RF, Tensor kept, Tensor x, Tensor w, Tensor bias, Activation activation) {
    here("out_RF", out_RF);
    here("x", x);
    shape("x", x, out_RF.rows(), x.columns());
    check("w", w, x.columns(), activation.preWidth(out_RF.columns()));
    check("bias", bias, 1, w.columns());
    check("kept", kept, out_RF.rows(), kernels.keptWidth(out_RF.columns(), activation));
    kernels.linearActivation(out_RF, kept, x, w, bias, activation);
  }

  @Override
  public void linearActivationBackward(
      Tensor dPre, Tensor dY, Tensor w, Tensor kept, Activation activation) {
    here("w", w);
    here("dY", dY);
    shape("dY", dY, dY.rows(), w.columns());
    check("kept", kept, dY.rows(), kernels.keptWidth(w.rows(), activation));
    check("dPre", dPre, dY.rows(), activation.preWidth(w.rows()));
    if (dPre == kept && !kernels.overwritesKept(w.rows(), activation)) {
      throw new IllegalArgumentException("dPre: kept (expected: a tensor of its own)");
    }
    kernels.linearActivationBackward(dPre, dY, w, kept, activation);
  }

  @Override
  public void weightGradient(
      Tensor dW, Tensor dB_1C, Tensor x, Tensor dOut_RC, boolean accumulate) {
    checkWeightGradient(dW, dB_1C, x, dOut_RC);
    kernels.weightGradient(dW, dB_1C, x, dOut_RC, accumulate);
  }

  @Override
  public void weightGradients(List<WeightGradient> gradients) {
    for (WeightGradient its : gradients) {
      checkWeightGradient(its.dW(), its.dB_1C(), its.x(), its.dOut_RC());
    }
    kernels.weightGradients(gradients);
  }

  private void checkWeightGradient(Tensor dW, Tensor dB_1C, Tensor x, Tensor dOut_RC) {
    here("x", x);
    here("dOut_RC", dOut_RC);
    shape("dOut_RC", dOut_RC, x.rows(), dOut_RC.columns());
    check("dW", dW, x.columns(), dOut_RC.columns());
    if (dB_1C != null) {
      check("dB_1C", dB_1C, 1, dOut_RC.columns());
    }
  }

  private void product(String outName, Tensor out, String aName, Tensor a, String bName, Tensor b) {
    here(aName, a);
    check(bName, b, a.columns(), b.columns());
    check(outName, out, a.rows(), b.columns());
  }

  @Override
  public void embeddingForward(
      Tensor out_TD, int[] tokens_T, Tensor tok_VD, Tensor pos_SD, int seq) {
    embedding("out_TD", out_TD, tokens_T, "tok_VD", tok_VD, "pos_SD", pos_SD, seq);
    kernels.embeddingForward(out_TD, tokens_T, tok_VD, pos_SD, seq);
  }

  @Override
  public void embeddingBackward(
      Tensor dTok_VD, Tensor dPos_SD, Tensor dOut_TD, int[] tokens_T, int seq) {
    embedding("dOut_TD", dOut_TD, tokens_T, "dTok_VD", dTok_VD, "dPos_SD", dPos_SD, seq);
    kernels.embeddingBackward(dTok_VD, dPos_SD, dOut_TD, tokens_T, seq);
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
    here("x_TD", x_TD);
    same("out_TD", out_TD, x_TD);
    check("mean_T1", mean_T1, x_TD.rows(), 1);
    check("rstd_T1", rstd_T1, x_TD.rows(), 1);
    check("gain_1D", gain_1D, 1, x_TD.columns());
    check("bias_1D", bias_1D, 1, x_TD.columns());
    kernels.layerNormForward(out_TD, mean_T1, rstd_T1, x_TD, gain_1D, bias_1D, epsilon);
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
    here("x_TD", x_TD);
    same("dX_TD", dX_TD, x_TD);
    same("dOut_TD", dOut_TD, x_TD);
    check("mean_T1", mean_T1, x_TD.rows(), 1);
    check("rstd_T1", rstd_T1, x_TD.rows(), 1);
    check("gain_1D", gain_1D, 1, x_TD.columns());
    check("dGain_1D", dGain_1D, 1, x_TD.columns());
    check("dBias_1D", dBias_1D, 1, x_TD.columns());
    kernels.layerNormBackward(dX_TD, dGain_1D, dBias_1D, dOut_TD, x_TD, mean_T1, rstd_T1, gain_1D);
  }

  @Override
  public Tensor allocateAttentionSaved(int batch, int seq, int heads) {
    atLeast("batch", batch, 1);
    atLeast("seq", seq, 0);
    atLeast("heads", heads, 1);
    return kernels.allocateAttentionSaved(batch, seq, heads);
  }

  @Override
  public void attentionForward(Tensor out_TD, Tensor saved, Tensor qkv_T3D, int batch, int heads) {
    attention(out_TD, saved, batch, heads);
    check("qkv_T3D", qkv_T3D, out_TD.rows(), 3 * out_TD.columns());
    kernels.attentionForward(out_TD, saved, qkv_T3D, batch, heads);
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
    attention(out_TD, saved, batch, heads);
    same("dOut_TD", dOut_TD, out_TD);
    check("qkv_T3D", qkv_T3D, out_TD.rows(), 3 * out_TD.columns());
    same("dQkv_T3D", dQkv_T3D, qkv_T3D);
    kernels.attentionBackward(dQkv_T3D, dOut_TD, qkv_T3D, out_TD, saved, batch, heads);
  }

  @Override
  public void crossEntropy(
      Tensor losses_T1, Tensor dLogits_TV, Tensor logits_TV, int[] targets_T, double scale) {
    here("logits_TV", logits_TV);
    check("losses_T1", losses_T1, logits_TV.rows(), 1);
    if (dLogits_TV != null) {
      same("dLogits_TV", dLogits_TV, logits_TV);
    }
    length("targets_T", targets_T.length, logits_TV.rows());
    indices("targets_T", targets_T, logits_TV.columns());
    kernels.crossEntropy(losses_T1, dLogits_TV, logits_TV, targets_T, scale);
  }

  @Override
  public void gatherRows(Tensor out_RD, Tensor in_TD, int[] tokenOfRow_R) {
    here("in_TD", in_TD);
    check("out_RD", out_RD, tokenOfRow_R.length, in_TD.columns());
    indices("tokenOfRow_R", tokenOfRow_R, in_TD.rows());
    kernels.gatherRows(out_RD, in_TD, tokenOfRow_R);
  }

  @Override
  public void scatterAddRows(Tensor out_TD, Tensor in_RD, int[] tokenOfRow_R) {
    here("out_TD", out_TD);
    check("in_RD", in_RD, tokenOfRow_R.length, out_TD.columns());
    indices("tokenOfRow_R", tokenOfRow_R, out_TD.rows());
    kernels.scatterAddRows(out_TD, in_RD, tokenOfRow_R);
  }

  @Override
  public void combineForward(
      Tensor x_TD, Tensor y_RD, int[] tokenOfRow_R, double[] multiplier_R, Tensor omega_1D) {
    here("x_TD", x_TD);
    check("y_RD", y_RD, tokenOfRow_R.length, x_TD.columns());
    length("multiplier_R", multiplier_R.length, tokenOfRow_R.length);
    indices("tokenOfRow_R", tokenOfRow_R, x_TD.rows());
    if (omega_1D != null) {
      check("omega_1D", omega_1D, 1, x_TD.columns());
    }
    kernels.combineForward(x_TD, y_RD, tokenOfRow_R, multiplier_R, omega_1D);
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
    here("dX_TD", dX_TD);
    int rows = tokenOfRow_R.length;
    check("y_RD", y_RD, rows, dX_TD.columns());
    check("dY_RD", dY_RD, rows, dX_TD.columns());
    check("s_R1", s_R1, rows, 1);
    length("multiplier_R", multiplier_R.length, rows);
    indices("tokenOfRow_R", tokenOfRow_R, dX_TD.rows());
    if ((omega_1D == null) != (dOmega_1D == null)) {
      throw new IllegalArgumentException(
          "dOmega_1D: "
              + (dOmega_1D == null ? "null" : "given")
              + " (expected: null exactly where omega_1D is null)");
    }
    if (omega_1D != null) {
      check("omega_1D", omega_1D, 1, dX_TD.columns());
      check("dOmega_1D", dOmega_1D, 1, dX_TD.columns());
    }
    kernels.combineBackward(
        dY_RD, s_R1, dOmega_1D, dX_TD, y_RD, tokenOfRow_R, multiplier_R, omega_1D);
  }

  @Override
  public void directionsForward(Tensor out_DE, Tensor p_DW, Tensor e_EW, double leastNorm) {
    directions("out_DE", out_DE, p_DW, e_EW);
    kernels.directionsForward(out_DE, p_DW, e_EW, leastNorm);
  }

  @Override
  public void directionsBackward(
      Tensor dP_DW, Tensor dE_EW, Tensor dOut_DE, Tensor p_DW, Tensor e_EW, double leastNorm) {
    directions("dOut_DE", dOut_DE, p_DW, e_EW);
    same("dP_DW", dP_DW, p_DW);
    same("dE_EW", dE_EW, e_EW);
    kernels.directionsBackward(dP_DW, dE_EW, dOut_DE, p_DW, e_EW, leastNorm);
  }

  private void directions(String outName, Tensor out_DE, Tensor p_DW, Tensor e_EW) {
    here("p_DW", p_DW);
    here("e_EW", e_EW);
    shape("e_EW", e_EW, e_EW.rows(), p_DW.columns());
    check(outName, out_DE, p_DW.rows(), e_EW.rows());
  }

  @Override
  public void sumSquares(Tensor out_11, Tensor x) {
    here("x", x);
    check("out_11", out_11, 1, 1);
    kernels.sumSquares(out_11, x);
  }

  @Override
  public void adamw(
      Tensor param, Tensor m, Tensor v, Tensor grad, AdamWStep step, double weightDecay) {
    here("param", param);
    same("m", m, param);
    same("v", v, param);
    same("grad", grad, param);
    if (step.step() < 1) {
      throw new IllegalArgumentException("step: " + step.step() + " (expected: >= 1)");
    }
    kernels.adamw(param, m, v, grad, step, weightDecay);
  }

  private void embedding(
      String rowsName,
      Tensor rows_TD,
      int[] tokens_T,
      String tokName,
      Tensor tok_VD,
      String posName,
      Tensor pos_SD,
      int seq) {
    here(rowsName, rows_TD);
    length("tokens_T", tokens_T.length, rows_TD.rows());
    here(tokName, tok_VD);
    shape(tokName, tok_VD, tok_VD.rows(), rows_TD.columns());
    here(posName, pos_SD);
    shape(posName, pos_SD, pos_SD.rows(), rows_TD.columns());
    atLeast("seq", seq, 1);
    if (seq > pos_SD.rows()) {
      throw new IllegalArgumentException("seq: " + seq + " (expected: <= " + pos_SD.rows() + ")");
    }
    indices("tokens_T", tokens_T, tok_VD.rows());
  }

  private void attention(Tensor out_TD, Tensor saved, int batch, int heads) {
    here("out_TD", out_TD);
    here("saved", saved);
    Shapes.divides("batch", batch, out_TD.rows());
    Shapes.divides("heads", heads, out_TD.columns());
  }

  private void check(String name, Tensor tensor, int rows, int columns) {
    here(name, tensor);
    shape(name, tensor, rows, columns);
  }

  private void same(String name, Tensor tensor, Tensor like) {
    check(name, tensor, like.rows(), like.columns());
  }

  private void here(String name, Tensor tensor) {
    Objects.requireNonNull(tensor, name);
    if (tensor.device() != device) {
      throw new IllegalArgumentException(
          name + ": on " + tensor.device().name() + " (expected: on this " + device.name() + ")");
    }
  }
}
