package troupe.router;

import troupe.core.data.Batch;

/** Where a rank gets its tokens from: pure functions, so any step can be done again. */
public interface BatchSource {
  /** The sequences of one micro-batch of a rank in a training step. */
  Batch training(long step, int rank, int microBatch);

  /**
   * Validation batch {@code index} of {@code count}, which together spread over the validation
   * text.
   */
  Batch validation(int index, int count);
}
