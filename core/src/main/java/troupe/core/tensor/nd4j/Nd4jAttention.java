package troupe.core.tensor.nd4j;

import static troupe.core.tensor.nd4j.Nd4jTensor.array;

import org.nd4j.linalg.api.ndarray.INDArray;
import org.nd4j.linalg.api.ops.impl.transforms.custom.SoftMax;
import org.nd4j.linalg.factory.Nd4j;
import troupe.core.tensor.Shapes;
import troupe.core.tensor.Tensor;

/**
 * Causal attention as batched products over all heads of all sequences. What is kept is the matrix
 * of probabilities.
 */
final class Nd4jAttention {
  /** Added to the score of a key that a query must not see; its exponential is zero. */
  private static final float UNSEEN = -1e30f;

  private final int batch;
  private final int heads;
  private final int seq;
  private final int headWidth;
  private final double scale;

  Nd4jAttention(Tensor out_TD, Tensor saved, int batch, int heads) {
    this.batch = batch;
    this.heads = heads;
    this.seq = out_TD.rows() / batch;
    this.headWidth = out_TD.columns() / heads;
    this.scale = 1 / Math.sqrt(headWidth);
    Shapes.shape("saved", saved, batch * heads * seq, Math.max(1, seq));
  }

  void forward(Tensor out_TD, Tensor saved, Tensor qkv_T3D) {
    INDArray scores = Nd4j.matmul(part(qkv_T3D, 0), part(qkv_T3D, 1), false, true, false);
    scores.muli(scale).addi(causalMask());
    INDArray probabilities = array(saved, batch * heads, seq, seq);
    Nd4j.exec(new SoftMax(scores, probabilities, 2));
    INDArray out = Nd4j.matmul(probabilities, part(qkv_T3D, 2), false, false, false);
    headsOf(out_TD).assign(out.reshape(batch, heads, seq, headWidth));
  }

  /**
   * With probabilities p: {@code dP = dOut v^T; dS = p (dP - sum_j p_j dP_j); dQ = dS k, dK = dS^T
   * q, dV = p^T dOut}.
   */
  void backward(Tensor dQkv_T3D, Tensor dOut_TD, Tensor qkv_T3D, Tensor saved) {
    INDArray probabilities = array(saved, batch * heads, seq, seq);
    INDArray dOut = headsOf(dOut_TD).dup('c').reshape(batch * heads, seq, headWidth);
    INDArray dP = Nd4j.matmul(dOut, part(qkv_T3D, 2), false, true, false);
    INDArray means = dP.mul(probabilities).sum(true, 2);
    INDArray dScores = dP.subi(means).muli(probabilities).muli(scale);
    INDArray dQ = Nd4j.matmul(dScores, part(qkv_T3D, 1), false, false, false);
    INDArray dK = Nd4j.matmul(dScores, part(qkv_T3D, 0), true, false, false);
    INDArray dV = Nd4j.matmul(probabilities, dOut, true, false, false);
    INDArray dParts = partsOf(dQkv_T3D);
    INDArray[] gradients = {dQ, dK, dV};
    for (int i = 0; i < gradients.length; i++) {
      dParts.slice(i).assign(gradients[i].reshape(batch, heads, seq, headWidth));
    }
  }

  /** Queries, keys or values, copied to one matrix a head. */
  private INDArray part(Tensor qkv_T3D, int which) {
    return partsOf(qkv_T3D).slice(which).dup('c').reshape(batch * heads, seq, headWidth);
  }

  private INDArray partsOf(Tensor qkv_T3D) {
    return array(qkv_T3D, batch, seq, 3, heads, headWidth).permute(2, 0, 3, 1, 4);
  }

  private INDArray headsOf(Tensor x_TD) {
    return array(x_TD, batch, seq, heads, headWidth).permute(0, 2, 1, 3);
  }

  private INDArray causalMask() {
    float[] mask = new float[seq * seq];
    for (int query = 0; query < seq; query++) {
      for (int key = query + 1; key < seq; key++) {
        mask[query * seq + key] = UNSEEN;
      }
    }
    return Nd4j.createFromArray(mask).reshape(1, seq, seq);
  }
}
