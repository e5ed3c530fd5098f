package troupe.core.tensor.reference;

/**
 * Causal attention (Vaswani et al., arXiv 1706.03762), one head at a time. What is kept is the
 * matrix of probabilities: row {@code (b * heads + h) * seq + query}, column key.
 */
final class ReferenceAttention {
  private ReferenceAttention() {}

  static void forward(
      ReferenceTensor out,
      ReferenceTensor probabilities,
      ReferenceTensor qkv,
      int batch,
      int heads) {
    int seq = out.rows() / batch;
    int width = out.columns();
    int headWidth = width / heads;
    for (int b = 0; b < batch; b++) {
      for (int h = 0; h < heads; h++) {
        int q = h * headWidth;
        int k = width + q;
        int v = 2 * width + q;
        for (int i = 0; i < seq; i++) {
          int row = (b * heads + h) * seq + i;
          double[] scores = new double[i + 1];
          double max = Double.NEGATIVE_INFINITY;
          for (int j = 0; j <= i; j++) {
            for (int d = 0; d < headWidth; d++) {
              scores[j] += qkv.at(b * seq + i, q + d) * qkv.at(b * seq + j, k + d);
            }
            scores[j] /= Math.sqrt(headWidth);
            max = Math.max(max, scores[j]);
          }
          double sum = 0;
          for (int j = 0; j <= i; j++) {
            sum += Math.exp(scores[j] - max);
          }
          for (int j = 0; j < seq; j++) {
            probabilities.put(row, j, j <= i ? Math.exp(scores[j] - max) / sum : 0);
          }
          for (int d = 0; d < headWidth; d++) {
            double y = 0;
            for (int j = 0; j <= i; j++) {
              y += probabilities.at(row, j) * qkv.at(b * seq + j, v + d);
            }
            out.put(b * seq + i, q + d, y);
          }
        }
      }
    }
  }

  /**
   * With probabilities p: {@code dP = dOut v^T; dS = p (dP - sum_j p_j dP_j); dQ = dS k, dK = dS^T
   * q, dV = p^T dOut}.
   */
  static void backward(
      ReferenceTensor dQkv,
      ReferenceTensor dOut,
      ReferenceTensor qkv,
      ReferenceTensor probabilities,
      int batch,
      int heads) {
    int seq = dOut.rows() / batch;
    int width = dOut.columns();
    int headWidth = width / heads;
    for (int i = 0; i < dQkv.length(); i++) {
      dQkv.put(i, 0);
    }
    for (int b = 0; b < batch; b++) {
      for (int h = 0; h < heads; h++) {
        int q = h * headWidth;
        int k = width + q;
        int v = 2 * width + q;
        for (int i = 0; i < seq; i++) {
          int query = b * seq + i;
          int row = (b * heads + h) * seq + i;
          double[] dP = new double[i + 1];
          double mean = 0;
          for (int j = 0; j <= i; j++) {
            for (int d = 0; d < headWidth; d++) {
              dP[j] += dOut.at(query, q + d) * qkv.at(b * seq + j, v + d);
            }
            mean += probabilities.at(row, j) * dP[j];
          }
          for (int j = 0; j <= i; j++) {
            int key = b * seq + j;
            double p = probabilities.at(row, j);
            double dScore = p * (dP[j] - mean) / Math.sqrt(headWidth);
            for (int d = 0; d < headWidth; d++) {
              dQkv.plus(query, q + d, dScore * qkv.at(key, k + d));
              dQkv.plus(key, k + d, dScore * qkv.at(query, q + d));
              dQkv.plus(key, v + d, p * dOut.at(query, q + d));
            }
          }
        }
      }
    }
  }
}
