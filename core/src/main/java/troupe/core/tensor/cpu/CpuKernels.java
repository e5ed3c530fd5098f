package troupe.core.tensor.cpu;

import static troupe.core.tensor.cpu.CpuTensor.address;

import troupe.core.tensor.Activation;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** Turns tensors into addresses and sizes. Whoever calls has checked the shapes. */
final class CpuKernels implements Kernels {
  private final CpuDevice device;

  CpuKernels(CpuDevice device) {
    this.device = device;
  }

  @Override
  public void fill(Tensor x, double value) {
    Elementwise.fill(address(x), x.size(), (float) value);
  }

  @Override
  public void copy(Tensor out, Tensor in) {
    Lanes.copy(address(out), address(in), Lanes.bytes(out.size()));
  }

  @Override
  public void add(Tensor out, Tensor in) {
    Elementwise.add(address(out), address(in), out.size());
  }

  @Override
  public void multiply(Tensor out, Tensor a, Tensor b) {
    Elementwise.multiply(address(out), address(a), address(b), out.size());
  }

  @Override
  public void scale(Tensor x, double factor) {
    Elementwise.scale(address(x), x.size(), (float) factor);
  }

  @Override
  public void matmul(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
    int inner = transposeA ? a.rows() : a.columns();
    if (out.size() == 0) {
      return;
    }
    if (inner == 0) {
      if (!accumulate) {
        fill(out, 0);
      }
      return;
    }
    Blas.sgemm(
        out.rows(),
        out.columns(),
        inner,
        1,
        address(a),
        a.columns(),
        transposeA,
        address(b),
        b.columns(),
        transposeB,
        accumulate ? 1 : 0,
        address(out),
        out.columns());
  }

  @Override
  public void addBias(Tensor x_RC, Tensor bias_1C) {
    Rows.addBias(address(x_RC), address(bias_1C), x_RC.rows(), x_RC.columns());
  }

  @Override
  public void sumRows(Tensor out_1C, Tensor x_RC) {
    Rows.sum(address(out_1C), address(x_RC), x_RC.rows(), x_RC.columns());
  }

  @Override
  public void activationForward(Tensor out_RF, Tensor pre, Activation activation) {
    long out = address(out_RF);
    long in = address(pre);
    switch (activation) {
      case GELU -> Gelu.forward(out, in, out_RF.size());
      case RELU -> Relu.forward(out, in, out_RF.size());
      case SWIGLU -> SwiGlu.forward(out, in, out_RF.rows(), out_RF.columns());
    }
  }

  @Override
  public void activationBackward(Tensor dPre, Tensor dOut_RF, Tensor pre, Activation activation) {
    long dIn = address(dPre);
    long dOut = address(dOut_RF);
    long in = address(pre);
    switch (activation) {
      case GELU -> Gelu.backward(dIn, dOut, in, dOut_RF.size());
      case RELU -> Relu.backward(dIn, dOut, in, dOut_RF.size());
      case SWIGLU -> SwiGlu.backward(dIn, dOut, in, dOut_RF.rows(), dOut_RF.columns());
    }
  }

  @Override
  public void embeddingForward(
      Tensor out_TD, int[] tokens_T, Tensor tok_VD, Tensor pos_SD, int seq) {
    Rows.embed(address(out_TD), tokens_T, address(tok_VD), address(pos_SD), seq, out_TD.columns());
  }

  @Override
  public void embeddingBackward(
      Tensor dTok_VD, Tensor dPos_SD, Tensor dOut_TD, int[] tokens_T, int seq) {
    Rows.embedBackward(
        address(dTok_VD), address(dPos_SD), address(dOut_TD), tokens_T, seq, dOut_TD.columns());
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
    LayerNorm.forward(
        address(out_TD),
        address(mean_T1),
        address(rstd_T1),
        address(x_TD),
        address(gain_1D),
        address(bias_1D),
        x_TD.rows(),
        x_TD.columns(),
        epsilon);
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
    LayerNorm.backward(
        address(dX_TD),
        address(dGain_1D),
        address(dBias_1D),
        address(dOut_TD),
        address(x_TD),
        address(mean_T1),
        address(rstd_T1),
        address(gain_1D),
        x_TD.rows(),
        x_TD.columns());
  }

  @Override
  public Tensor allocateAttentionSaved(int batch, int seq, int heads) {
    return device.allocate(batch * heads, Math.max(1, seq));
  }

  @Override
  public void attentionForward(Tensor out_TD, Tensor saved, Tensor qkv_T3D, int batch, int heads) {
    attention(out_TD, saved, batch, heads)
        .forward(address(out_TD), address(saved), address(qkv_T3D));
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
    attention(out_TD, saved, batch, heads)
        .backward(
            address(dQkv_T3D), address(dOut_TD), address(qkv_T3D), address(out_TD), address(saved));
  }

  @Override
  public void crossEntropy(
      Tensor losses_T1, Tensor dLogits_TV, Tensor logits_TV, int[] targets_T, double scale) {
    long losses = address(losses_T1);
    long logits = address(logits_TV);
    if (dLogits_TV == null) {
      CrossEntropy.losses(losses, logits, targets_T, logits_TV.columns());
    } else {
      CrossEntropy.lossesAndGradient(
          losses, address(dLogits_TV), logits, targets_T, logits_TV.columns(), scale);
    }
  }

  @Override
  public void gatherRows(Tensor out_RD, Tensor in_TD, int[] tokenOfRow_R) {
    Rows.gather(address(out_RD), address(in_TD), tokenOfRow_R, in_TD.columns());
  }

  @Override
  public void scatterAddRows(Tensor out_TD, Tensor in_RD, int[] tokenOfRow_R) {
    Rows.scatterAdd(address(out_TD), address(in_RD), tokenOfRow_R, out_TD.columns());
  }

  @Override
  public void combineForward(
      Tensor x_TD, Tensor y_RD, int[] tokenOfRow_R, double[] multiplier_R, Tensor omega_1D) {
    if (omega_1D == null) {
      Combine.forward(address(x_TD), address(y_RD), tokenOfRow_R, multiplier_R, x_TD.columns());
    } else {
      Combine.forward(
          address(x_TD),
          address(y_RD),
          tokenOfRow_R,
          multiplier_R,
          address(omega_1D),
          x_TD.columns());
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
    if (omega_1D == null) {
      Combine.backward(
          address(dY_RD),
          address(s_R1),
          address(dX_TD),
          address(y_RD),
          tokenOfRow_R,
          multiplier_R,
          dX_TD.columns());
    } else {
      Combine.backward(
          address(dY_RD),
          address(s_R1),
          address(dOmega_1D),
          address(dX_TD),
          address(y_RD),
          tokenOfRow_R,
          multiplier_R,
          address(omega_1D),
          dX_TD.columns());
    }
  }

  @Override
  public void sumSquares(Tensor out_11, Tensor x) {
    Lanes.put(address(out_11), (float) SumSquares.of(address(x), x.size()));
  }

  @Override
  public void adamw(
      Tensor param, Tensor m, Tensor v, Tensor grad, AdamWStep step, double weightDecay) {
    AdamW.step(
        address(param), address(m), address(v), address(grad), param.size(), step, weightDecay);
  }

  private Attention attention(Tensor out_TD, Tensor saved, int batch, int heads) {
    int seq = out_TD.rows() / batch;
    Shapes.shape("saved", saved, batch * heads, Math.max(1, seq));
    return new Attention(device, seq, out_TD.columns(), batch, heads);
  }
}
