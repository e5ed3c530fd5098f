package troupe.core.tensor.cpu;

import troupe.core.tensor.Tensor;

/**
 * Causal attention by blocks of queries: a block sees the keys up to its last query and no others
 * are computed, and its scores stay in the second-level cache. What is kept is the logarithm of
 * every query's sum of exponentials, from which the backward pass computes the probabilities again
 * (Dao et al., arXiv 2205.14135): sequence-long rows of probabilities would cost more memory than
 * everything else of a layer.
 */
final class Attention {
  /**
   * Queries of a block: few enough to leave out most of the upper triangle, enough to keep BLAS
   * busy.
   */
  private static final int BLOCK = 64;

  private final CpuDevice device;
  private final int seq;
  private final int width;
  private final int batch;
  private final int heads;
  private final int headWidth;
  private final float scale;

  Attention(CpuDevice device, int seq, int width, int batch, int heads) {
    this.device = device;
    this.seq = seq;
    this.width = width;
    this.batch = batch;
    this.heads = heads;
    this.headWidth = width / heads;
    this.scale = (float) (1 / Math.sqrt(headWidth));
  }

  void forward(long out, long logSums, long qkv) {
    if (seq == 0) {
      return;
    }
    try (Tensor scratch = device.allocate(Math.min(BLOCK, seq), seq)) {
      long scores = CpuTensor.address(scratch);
      for (int b = 0; b < batch; b++) {
        for (int h = 0; h < heads; h++) {
          long rowOut = out + Lanes.bytes((long) b * seq * width + h * headWidth);
          long rowLogSums = logSums + Lanes.bytes((long) (b * heads + h) * seq);
          forwardHead(rowOut, rowLogSums, head(qkv, b, h), scores);
        }
      }
    }
  }

  private void forwardHead(long out, long logSums, long q, long scores) {
    long k = q + Lanes.bytes(width);
    long v = k + Lanes.bytes(width);
    for (int from = 0; from < seq; from += BLOCK) {
      int queries = Math.min(BLOCK, seq - from);
      int keys = from + queries;
      long blockQ = q + Lanes.bytes(3L * from * width);
      scores(scores, blockQ, k, queries, keys);
      for (int i = 0; i < queries; i++) {
        int seen = from + i + 1;
        long row = scores + Lanes.bytes((long) i * keys);
        float max = Reduce.max(row, seen);
        float sum = Softmax.exponentials(row, row, max, seen);
        Elementwise.scale(row, seen, 1 / sum);
        Elementwise.fill(row + Lanes.bytes(seen), keys - seen, 0);
        Lanes.put(logSums + Lanes.bytes(from + i), (float) (max + StrictMath.log(sum)));
      }
      Blas.sgemm(
          queries,
          headWidth,
          keys,
          1,
          scores,
          keys,
          false,
          v,
          3 * width,
          false,
          0,
          out + Lanes.bytes((long) from * width),
          width);
    }
  }

  /**
   * With probabilities p: {@code dP = dOut v^T; dS = p (dP - dOut . out); dQ = dS k, dK = dS^T q,
   * dV = p^T dOut}.
   */
  void backward(long dQkv, long dOut, long qkv, long out, long logSums) {
    if (seq == 0) {
      return;
    }
    int queries = Math.min(BLOCK, seq);
    try (Tensor scratch = device.allocate(2 * queries, seq)) {
      long p = CpuTensor.address(scratch);
      long dP = p + Lanes.bytes((long) queries * seq);
      for (int b = 0; b < batch; b++) {
        for (int h = 0; h < heads; h++) {
          long at = Lanes.bytes((long) b * seq * width + h * headWidth);
          long rowLogSums = logSums + Lanes.bytes((long) (b * heads + h) * seq);
          backwardHead(head(dQkv, b, h), dOut + at, head(qkv, b, h), out + at, rowLogSums, p, dP);
        }
      }
    }
  }

  private void backwardHead(long dQ, long dOut, long q, long out, long logSums, long p, long dP) {
    int stride = 3 * width;
    long k = q + Lanes.bytes(width);
    long v = k + Lanes.bytes(width);
    long dK = dQ + Lanes.bytes(width);
    long dV = dK + Lanes.bytes(width);
    // The last block comes first: it sees every key and so overwrites all of dK and dV, the others
    // add.
    int last = (seq - 1) / BLOCK * BLOCK;
    for (int from = last; from >= 0; from -= BLOCK) {
      int queries = Math.min(BLOCK, seq - from);
      int keys = from + queries;
      float accumulate = from == last ? 0 : 1;
      long blockQ = q + Lanes.bytes((long) from * stride);
      long blockDQ = dQ + Lanes.bytes((long) from * stride);
      long blockOut = out + Lanes.bytes((long) from * width);
      long blockDOut = dOut + Lanes.bytes((long) from * width);
      scores(p, blockQ, k, queries, keys);
      Blas.sgemm(
          queries, keys, headWidth, 1, blockDOut, width, false, v, stride, true, 0, dP, keys);
      for (int i = 0; i < queries; i++) {
        int seen = from + i + 1;
        long at = Lanes.bytes((long) i * keys);
        long outAt = Lanes.bytes((long) i * width);
        float mean = Reduce.dot(blockDOut + outAt, blockOut + outAt, headWidth);
        float logSum = Lanes.get(logSums + Lanes.bytes(from + i));
        Softmax.exponentials(p + at, p + at, logSum, seen);
        Softmax.backward(dP + at, p + at, mean, scale, seen);
        Elementwise.fill(p + at + Lanes.bytes(seen), keys - seen, 0);
        Elementwise.fill(dP + at + Lanes.bytes(seen), keys - seen, 0);
      }
      Blas.sgemm(
          queries, headWidth, keys, 1, dP, keys, false, k, stride, false, 0, blockDQ, stride);
      Blas.sgemm(
          keys,
          headWidth,
          queries,
          1,
          dP,
          keys,
          true,
          blockQ,
          stride,
          false,
          accumulate,
          dK,
          stride);
      Blas.sgemm(
          keys,
          headWidth,
          queries,
          1,
          p,
          keys,
          true,
          blockDOut,
          width,
          false,
          accumulate,
          dV,
          stride);
    }
  }

  /** {@code scores = q k^T / sqrt(headWidth)}. */
  private void scores(long scores, long q, long k, int queries, int keys) {
    int stride = 3 * width;
    Blas.sgemm(queries, keys, headWidth, scale, q, stride, false, k, stride, true, 0, scores, keys);
  }

  private long head(long qkv, int b, int h) {
    return qkv + Lanes.bytes(3L * b * seq * width + h * headWidth);
  }
}
