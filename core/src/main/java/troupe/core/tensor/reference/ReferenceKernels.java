package troupe.core.tensor.reference;

import static troupe.core.tensor.reference.ReferenceTensor.open;

import troupe.core.tensor.Activation;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/** The formulas of {@link Kernels}, written down. Whoever calls has checked the shapes. */
final class ReferenceKernels implements Kernels {
  private final ReferenceDevice device;

  ReferenceKernels(ReferenceDevice device) {
    this.device = device;
  }

  @Override
  public void fill(Tensor x, double value) {
    ReferenceTensor to = open(x);
    for (int i = 0; i < to.length(); i++) {
      to.put(i, value);
    }
  }

  @Override
  public void copy(Tensor out, Tensor in) {
    ReferenceTensor to = open(out);
    ReferenceTensor from = open(in);
    for (int i = 0; i < to.length(); i++) {
      to.put(i, from.at(i));
    }
  }

  @Override
  public void add(Tensor out, Tensor in) {
    ReferenceTensor to = open(out);
    ReferenceTensor from = open(in);
    for (int i = 0; i < to.length(); i++) {
      to.put(i, to.at(i) + from.at(i));
    }
  }

  @Override
  public void multiply(Tensor out, Tensor a, Tensor b) {
    ReferenceTensor to = open(out);
    ReferenceTensor left = open(a);
    ReferenceTensor right = open(b);
    for (int i = 0; i < to.length(); i++) {
      to.put(i, left.at(i) * right.at(i));
    }
  }

  @Override
  public void scale(Tensor x, double factor) {
    ReferenceTensor to = open(x);
    for (int i = 0; i < to.length(); i++) {
      to.put(i, to.at(i) * factor);
    }
  }

  @Override
  public void matmul(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
    ReferenceTensor to = open(out);
    ReferenceTensor left = open(a);
    ReferenceTensor right = open(b);
    int inner = transposeA ? left.rows() : left.columns();
    for (int i = 0; i < to.rows(); i++) {
      for (int j = 0; j < to.columns(); j++) {
        double sum = accumulate ? to.at(i, j) : 0;
        for (int k = 0; k < inner; k++) {
          double x = transposeA ? left.at(k, i) : left.at(i, k);
          double y = transposeB ? right.at(j, k) : right.at(k, j);
          sum += x * y;
        }
        to.put(i, j, sum);
      }
    }
  }

  @Override
  public void addBias(Tensor x_RC, Tensor bias_1C) {
    ReferenceTensor x = open(x_RC);
    ReferenceTensor bias = open(bias_1C);
    for (int r = 0; r < x.rows(); r++) {
      for (int c = 0; c < x.columns(); c++) {
        x.plus(r, c, bias.at(c));
      }
    }
  }

  @Override
  public void sumRows(Tensor out_1C, Tensor x_RC) {
    ReferenceTensor out = open(out_1C);
    ReferenceTensor x = open(x_RC);
    for (int r = 0; r < x.rows(); r++) {
      for (int c = 0; c < x.columns(); c++) {
        out.plus(0, c, x.at(r, c));
      }
    }
  }

  @Override
  public void activationForward(Tensor out_RF, Tensor pre, Activation activation) {
    ReferenceActivations.forward(open(out_RF), open(pre), activation);
  }

  @Override
  public void activationBackward(Tensor dPre, Tensor dOut_RF, Tensor pre, Activation activation) {
    ReferenceActivations.backward(open(dPre), open(dOut_RF), open(pre), activation);
  }

  @Override
  public void embeddingForward(
      Tensor out_TD, int[] tokens_T, Tensor tok_VD, Tensor pos_SD, int seq) {
    ReferenceTensor out = open(out_TD);
    ReferenceTensor tok = open(tok_VD);
    ReferenceTensor pos = open(pos_SD);
    for (int t = 0; t < out.rows(); t++) {
      for (int d = 0; d < out.columns(); d++) {
        out.put(t, d, tok.at(tokens_T[t], d) + pos.at(t % seq, d));
      }
    }
  }

  @Override
  public void embeddingBackward(
      Tensor dTok_VD, Tensor dPos_SD, Tensor dOut_TD, int[] tokens_T, int seq) {
    ReferenceTensor dTok = open(dTok_VD);
    ReferenceTensor dPos = open(dPos_SD);
    ReferenceTensor dOut = open(dOut_TD);
    for (int t = 0; t < dOut.rows(); t++) {
      for (int d = 0; d < dOut.columns(); d++) {
        dTok.plus(tokens_T[t], d, dOut.at(t, d));
        dPos.plus(t % seq, d, dOut.at(t, d));
      }
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
    ReferenceLayerNorm.forward(
        open(out_TD),
        open(mean_T1),
        open(rstd_T1),
        open(x_TD),
        open(gain_1D),
        open(bias_1D),
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
    ReferenceLayerNorm.backward(
        open(dX_TD),
        open(dGain_1D),
        open(dBias_1D),
        open(dOut_TD),
        open(x_TD),
        open(mean_T1),
        open(rstd_T1),
        open(gain_1D));
  }

  @Override
  public Tensor allocateAttentionSaved(int batch, int seq, int heads) {
    return device.allocate(batch * heads * seq, Math.max(1, seq));
  }

  @Override
  public void attentionForward(Tensor out_TD, Tensor saved, Tensor qkv_T3D, int batch, int heads) {
    requireSaved(saved, out_TD, batch, heads);
    ReferenceAttention.forward(open(out_TD), open(saved), open(qkv_T3D), batch, heads);
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
    requireSaved(saved, out_TD, batch, heads);
    ReferenceAttention.backward(
        open(dQkv_T3D), open(dOut_TD), open(qkv_T3D), open(saved), batch, heads);
  }

  @Override
  public void crossEntropy(
      Tensor losses_T1, Tensor dLogits_TV, Tensor logits_TV, int[] targets_T, double scale) {
    ReferenceTensor losses = open(losses_T1);
    ReferenceTensor dLogits = dLogits_TV == null ? null : open(dLogits_TV);
    ReferenceTensor logits = open(logits_TV);
    for (int t = 0; t < logits.rows(); t++) {
      double max = Double.NEGATIVE_INFINITY;
      for (int v = 0; v < logits.columns(); v++) {
        max = Math.max(max, logits.at(t, v));
      }
      double sum = 0;
      for (int v = 0; v < logits.columns(); v++) {
        sum += Math.exp(logits.at(t, v) - max);
      }
      losses.put(t, Math.log(sum) + max - logits.at(t, targets_T[t]));
      if (dLogits != null) {
        for (int v = 0; v < logits.columns(); v++) {
          double probability = Math.exp(logits.at(t, v) - max) / sum;
          dLogits.put(t, v, scale * (probability - (v == targets_T[t] ? 1 : 0)));
        }
      }
    }
  }

  @Override
  public void gatherRows(Tensor out_RD, Tensor in_TD, int[] tokenOfRow_R) {
    ReferenceRouting.gather(open(out_RD), open(in_TD), tokenOfRow_R);
  }

  @Override
  public void scatterAddRows(Tensor out_TD, Tensor in_RD, int[] tokenOfRow_R) {
    ReferenceRouting.scatterAdd(open(out_TD), open(in_RD), tokenOfRow_R);
  }

  @Override
  public void combineForward(
      Tensor x_TD, Tensor y_RD, int[] tokenOfRow_R, double[] multiplier_R, Tensor omega_1D) {
    ReferenceRouting.combineForward(
        open(x_TD),
        open(y_RD),
        tokenOfRow_R,
        multiplier_R,
        omega_1D == null ? null : open(omega_1D));
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
    ReferenceRouting.combineBackward(
        open(dY_RD),
        open(s_R1),
        dOmega_1D == null ? null : open(dOmega_1D),
        open(dX_TD),
        open(y_RD),
        tokenOfRow_R,
        multiplier_R,
        omega_1D == null ? null : open(omega_1D));
  }

  @Override
  public void sumSquares(Tensor out_11, Tensor x) {
    ReferenceTensor from = open(x);
    double sum = 0;
    for (int i = 0; i < from.length(); i++) {
      sum += from.at(i) * from.at(i);
    }
    open(out_11).put(0, sum);
  }

  @Override
  public void adamw(
      Tensor param, Tensor m, Tensor v, Tensor grad, AdamWStep step, double weightDecay) {
    ReferenceTensor p = open(param);
    ReferenceTensor first = open(m);
    ReferenceTensor second = open(v);
    ReferenceTensor gradient = open(grad);
    double b1 = step.beta1();
    double b2 = step.beta2();
    double stepSize = step.learningRate() / (1 - Math.pow(b1, step.step()));
    double rootCorrection = Math.sqrt(1 - Math.pow(b2, step.step()));
    for (int i = 0; i < p.length(); i++) {
      double g = step.gradientScale() * gradient.at(i);
      double decayed = p.at(i) * (1 - step.learningRate() * weightDecay);
      first.put(i, b1 * first.at(i) + (1 - b1) * g);
      second.put(i, b2 * second.at(i) + (1 - b2) * g * g);
      double denominator = Math.sqrt(second.at(i)) / rootCorrection + step.epsilon();
      p.put(i, decayed - stepSize * (first.at(i) / denominator));
    }
  }

  private static void requireSaved(Tensor saved, Tensor out_TD, int batch, int heads) {
    Shapes.shape("saved", saved, out_TD.rows() * heads, Math.max(1, out_TD.rows() / batch));
  }
}
