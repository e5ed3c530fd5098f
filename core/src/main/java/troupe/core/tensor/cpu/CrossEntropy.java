package troupe.core.tensor.cpu;

/** Cross entropy of rows of logits, and its gradient. A row stays in the cache over the passes. */
final class CrossEntropy {
  private CrossEntropy() {}

  static void losses(long losses, long logits, int[] targets, int columns) {
    for (int t = 0; t < targets.length; t++) {
      long row = logits + Lanes.bytes((long) t * columns);
      float max = Reduce.max(row, columns);
      float sum = Softmax.sumOfExponentials(row, max, columns);
      float target = Lanes.get(row + Lanes.bytes(targets[t]));
      Lanes.put(losses + Lanes.bytes(t), (float) (StrictMath.log(sum) + max - target));
    }
  }

  static void lossesAndGradient(
      long losses, long dLogits, long logits, int[] targets, int columns, double scale) {
    for (int t = 0; t < targets.length; t++) {
      long at = Lanes.bytes((long) t * columns);
      float max = Reduce.max(logits + at, columns);
      long targetAt = at + Lanes.bytes(targets[t]);
      // Read before the gradient may overwrite it.
      float target = Lanes.get(logits + targetAt);
      float sum = Softmax.exponentials(dLogits + at, logits + at, max, columns);
      Elementwise.scale(dLogits + at, columns, (float) (scale / sum));
      Lanes.put(dLogits + targetAt, (float) (Lanes.get(dLogits + targetAt) - scale));
      Lanes.put(losses + Lanes.bytes(t), (float) (StrictMath.log(sum) + max - target));
    }
  }
}
