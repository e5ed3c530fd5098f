package troupe.router;

import troupe.core.tensor.Kernels;
import troupe.core.tensor.Tensor;
import troupe.expert.network.TensorPayload;
import troupe.router.trunk.RankState;

/**
 * Sums what all ranks found for the slice of the trunk that one rank owns, in rank order whatever
 * the order of arrival.
 */
final class TrunkReduction implements AutoCloseable {
  private final RankState state;
  private final long step;
  private final TensorPayload[] slices;
  private int missing;

  TrunkReduction(RankState state, long step) {
    this.state = state;
    this.step = step;
    this.slices = new TensorPayload[state.slices().ranks()];
    this.missing = slices.length;
  }

  long step() {
    return step;
  }

  /** How many slices have not come yet. */
  int missing() {
    return missing;
  }

  /**
   * Takes the slice of a rank.
   *
   * @return whether this completed the sum
   */
  boolean accept(int rank, TensorPayload slice) {
    if (rank < 0
        || rank >= slices.length
        || slices[rank] != null
        || slice.tensor().size() != state.gradientSum().size()) {
      slice.release();
      return false;
    }
    slices[rank] = slice;
    missing--;
    if (missing > 0) {
      return false;
    }
    Kernels kernels = state.device().kernels();
    kernels.copy(state.gradientSum(), slices[0].tensor());
    for (int r = 1; r < slices.length; r++) {
      kernels.add(state.gradientSum(), slices[r].tensor());
    }
    state.gradientStep(step);
    return true;
  }

  /** Sum of squares of the summed slice, waiting for the device. */
  double squaredNorm() {
    try (Tensor sum = state.device().allocate(1, 1)) {
      state.device().kernels().sumSquares(sum, state.gradientSum());
      return sum.item();
    }
  }

  @Override
  public void close() {
    for (TensorPayload slice : slices) {
      if (slice != null) {
        slice.release();
      }
    }
  }
}
