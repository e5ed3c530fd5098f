package troupe.core.tensor.nd4j;

import static troupe.core.tensor.nd4j.Nd4jTensor.array;

import org.nd4j.linalg.api.buffer.DataType;
import org.nd4j.linalg.api.memory.MemoryWorkspace;
import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.factory.Nd4j;
import org.nd4j.linalg.ops.transforms.Transforms;
import troupe.core.tensor.Activation;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;

/**
 * Kernels as ND4J operations. Whoever calls has checked the shapes. ND4J's arrays cannot be empty
 * the way tensors can, so every kernel that would do nothing returns first; temporaries live in a
 * workspace of the thread ({@link Scratch}).
 */
final class Nd4jKernels implements Kernels {
  private final Nd4jDevice device;

  Nd4jKernels(Nd4jDevice device) {
    this.device = device;
  }

  @Override
  public void fill(Tensor x, double value) {
    if (x.rows() > 0) {
      array(x).assign(value);
    }
  }

  @Override
  public void copy(Tensor out, Tensor in) {
    if (out.rows() > 0) {
      array(out).assign(array(in));
    }
  }

  @Override
  public void add(Tensor out, Tensor in) {
    if (out.rows() > 0) {
      array(out).addi(array(in));
    }
  }

  @Override
  public void multiply(Tensor out, Tensor a, Tensor b) {
    if (out.rows() > 0) {
      array(a).muli(array(b), array(out));
    }
  }

  @Override
  public void scale(Tensor x, double factor) {
    if (x.rows() > 0) {
      array(x).muli(factor);
    }
  }

  /**
   * Asks for {@code out^T = op(b)^T op(a)^T}: ND4J wants column-major results and copies any other.
   */
  @Override
  public void matmul(
      Tensor out, Tensor a, boolean transposeA, Tensor b, boolean transposeB, boolean accumulate) {
    if (out.rows() == 0) {
      return;
    }
    if ((transposeA ? a.rows() : a.columns()) == 0) {
      if (!accumulate) {
        fill(out, 0);
      }
      return;
    }
    try (MemoryWorkspace _ = Scratch.enter()) {
      Nd4j.gemm(
          array(b).transpose(),
          array(a).transpose(),
          array(out).transpose(),
          transposeB,
          transposeA,
          1,
          accumulate ? 1 : 0);
    }
  }

  @Override
  public void addBias(Tensor x_RC, Tensor bias_1C) {
    if (x_RC.rows() > 0) {
      array(x_RC).addiRowVector(array(bias_1C));
    }
  }

  @Override
  public void sumRows(Tensor out_1C, Tensor x_RC) {
    if (x_RC.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        array(out_1C).addi(array(x_RC).sum(true, 0));
      }
    }
  }

  @Override
  public void activationForward(Tensor out_RF, Tensor pre, Activation activation) {
    if (out_RF.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        Nd4jActivations.forward(array(out_RF), array(pre), activation);
      }
    }
  }

  @Override
  public void activationBackward(Tensor dPre, Tensor dOut_RF, Tensor pre, Activation activation) {
    if (dOut_RF.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        Nd4jActivations.backward(array(dPre), array(dOut_RF), array(pre), activation);
      }
    }
  }

  @Override
  public void embeddingForward(
      Tensor out_TD, int[] tokens_T, Tensor tok_VD, Tensor pos_SD, int seq) {
    if (out_TD.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        INDArray out = array(out_TD);
        out.assign(Nd4jRows.gather(array(tok_VD), tokens_T));
        out.addi(Nd4jRows.gather(array(pos_SD), positions(tokens_T.length, seq)));
      }
    }
  }

  @Override
  public void embeddingBackward(
      Tensor dTok_VD, Tensor dPos_SD, Tensor dOut_TD, int[] tokens_T, int seq) {
    if (dOut_TD.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        INDArray dOut = array(dOut_TD);
        Nd4jRows.scatterAdd(array(dTok_VD), dOut, tokens_T);
        Nd4jRows.scatterAdd(array(dPos_SD), dOut, positions(tokens_T.length, seq));
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
    if (x_TD.rows() == 0) {
      return;
    }
    try (MemoryWorkspace _ = Scratch.enter()) {
      INDArray x = array(x_TD);
      INDArray mean = array(mean_T1).assign(x.mean(true, 1));
      INDArray centered = x.subColumnVector(mean);
      INDArray variance = centered.mul(centered).mean(true, 1);
      INDArray rstd = array(rstd_T1).assign(Transforms.sqrt(variance.addi(epsilon)).rdivi(1));
      centered.muliColumnVector(rstd).muliRowVector(array(gain_1D));
      array(out_TD).assign(centered.addiRowVector(array(bias_1D)));
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
    if (x_TD.rows() == 0) {
      return;
    }
    try (MemoryWorkspace _ = Scratch.enter()) {
      INDArray dOut = array(dOut_TD);
      INDArray rstd = array(rstd_T1);
      INDArray normal = array(x_TD).subColumnVector(array(mean_T1)).muliColumnVector(rstd);
      array(dGain_1D).addi(dOut.mul(normal).sum(true, 0));
      array(dBias_1D).addi(dOut.sum(true, 0));
      INDArray g = dOut.mulRowVector(array(gain_1D));
      INDArray shift = g.mean(true, 1);
      INDArray slope = g.mul(normal).mean(true, 1);
      g.subiColumnVector(shift).subi(normal.muliColumnVector(slope)).muliColumnVector(rstd);
      array(dX_TD).addi(g);
    }
  }

  @Override
  public Tensor allocateAttentionSaved(int batch, int seq, int heads) {
    return device.allocate(batch * heads * seq, Math.max(1, seq));
  }

  @Override
  public void attentionForward(Tensor out_TD, Tensor saved, Tensor qkv_T3D, int batch, int heads) {
    Nd4jAttention attention = new Nd4jAttention(out_TD, saved, batch, heads);
    if (out_TD.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        attention.forward(out_TD, saved, qkv_T3D);
      }
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
    Nd4jAttention attention = new Nd4jAttention(out_TD, saved, batch, heads);
    if (out_TD.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        attention.backward(dQkv_T3D, dOut_TD, qkv_T3D, saved);
      }
    }
  }

  @Override
  public void crossEntropy(
      Tensor losses_T1, Tensor dLogits_TV, Tensor logits_TV, int[] targets_T, double scale) {
    if (logits_TV.rows() == 0) {
      return;
    }
    try (MemoryWorkspace _ = Scratch.enter()) {
      INDArray logits = array(logits_TV);
      INDArray shifted = logits.subColumnVector(logits.max(true, 1));
      INDArray exponentials = Transforms.exp(shifted, true);
      INDArray sums = exponentials.sum(true, 1);
      INDArray targets = Nd4jRows.oneHot(targets_T, logits_TV.columns());
      INDArray targetLogits = shifted.muli(targets).sum(true, 1);
      array(losses_T1).assign(Transforms.log(sums, true).subi(targetLogits));
      if (dLogits_TV != null) {
        exponentials.diviColumnVector(sums).subi(targets).muli(scale);
        array(dLogits_TV).assign(exponentials);
      }
    }
  }

  @Override
  public void gatherRows(Tensor out_RD, Tensor in_TD, int[] tokenOfRow_R) {
    if (out_RD.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        array(out_RD).assign(Nd4jRows.gather(array(in_TD), tokenOfRow_R));
      }
    }
  }

  @Override
  public void scatterAddRows(Tensor out_TD, Tensor in_RD, int[] tokenOfRow_R) {
    if (in_RD.rows() > 0) {
      try (MemoryWorkspace _ = Scratch.enter()) {
        Nd4jRows.scatterAdd(array(out_TD), array(in_RD), tokenOfRow_R);
      }
    }
  }

  @Override
  public void combineForward(
      Tensor x_TD, Tensor y_RD, int[] tokenOfRow_R, double[] multiplier_R, Tensor omega_1D) {
    if (y_RD.rows() == 0) {
      return;
    }
    try (MemoryWorkspace _ = Scratch.enter()) {
      INDArray weighted = array(y_RD).mulColumnVector(Nd4jRows.column(multiplier_R));
      if (omega_1D != null) {
        weighted.muliRowVector(array(omega_1D));
      }
      Nd4jRows.scatterAdd(array(x_TD), weighted, tokenOfRow_R);
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
    if (y_RD.rows() == 0) {
      return;
    }
    try (MemoryWorkspace _ = Scratch.enter()) {
      INDArray multiplier = Nd4jRows.column(multiplier_R);
      INDArray g = Nd4jRows.gather(array(dX_TD), tokenOfRow_R);
      INDArray product = g.mul(array(y_RD));
      if (omega_1D != null) {
        array(dOmega_1D).addi(product.mulColumnVector(multiplier).sum(true, 0));
        product.muliRowVector(array(omega_1D));
        g.muliRowVector(array(omega_1D));
      }
      array(s_R1).assign(product.sum(true, 1));
      array(dY_RD).assign(g.muliColumnVector(multiplier));
    }
  }

  @Override
  public void sumSquares(Tensor out_11, Tensor x) {
    if (x.rows() == 0) {
      fill(out_11, 0);
      return;
    }
    try (MemoryWorkspace _ = Scratch.enter()) {
      INDArray values = array(x).castTo(DataType.DOUBLE);
      array(out_11).assign(values.muli(values).sum(true, 0, 1));
    }
  }

  @Override
  public void adamw(
      Tensor param, Tensor m, Tensor v, Tensor grad, AdamWStep step, double weightDecay) {
    if (param.rows() == 0) {
      return;
    }
    double stepSize = step.learningRate() / (1 - Math.pow(step.beta1(), step.step()));
    double rootCorrection = Math.sqrt(1 - Math.pow(step.beta2(), step.step()));
    try (MemoryWorkspace _ = Scratch.enter()) {
      INDArray g = array(grad).mul(step.gradientScale());
      INDArray first = array(m).mul(step.beta1()).addi(g.mul(1 - step.beta1()));
      INDArray second = array(v).mul(step.beta2()).addi(g.muli(g).muli(1 - step.beta2()));
      INDArray denominator =
          Transforms.sqrt(second, true).divi(rootCorrection).addi(step.epsilon());
      INDArray update = first.div(denominator).muli(stepSize);
      INDArray updated = array(param).mul(1 - step.learningRate() * weightDecay).subi(update);
      // All that could fail is done: write.
      array(m).assign(first);
      array(v).assign(second);
      array(param).assign(updated);
    }
  }

  private static int[] positions(int tokens, int seq) {
    int[] positions = new int[tokens];
    for (int t = 0; t < tokens; t++) {
      positions[t] = t % seq;
    }
    return positions;
  }
}
