package troupe.router;

import java.util.List;
import troupe.core.tensor.Kernels;
import troupe.core.tensor.Readback;
import troupe.core.tensor.Tensor;
import troupe.expert.network.TensorPayload;
import troupe.router.trunk.RankState;
import troupe.router.trunk.Segments.Segment;

/**
 * Sums what all ranks found for the slice of the trunk that one rank owns: segment by segment as
 * they come, each in rank order whatever the order of arrival. What came before its turn is kept,
 * the rest is released at once.
 *
 * <p>A GPU works through a queue: what it is to sum while its own backward pass is under way might
 * be of a GPU that is not that far, and all that comes after would wait for it. So it had better
 * sum when its pass is over, see {@link #sumUp}.
 */
final class TrunkReduction implements AutoCloseable {
  private final RankState state;
  private final long step;
  private final List<Segment> segments;
  private final int ranks;
  private final TensorPayload[][] early_SR;
  private final int[] summedRanks_S;
  private int unfinished;
  private boolean sumsOnArrival;

  /**
   * Nothing of a step's sum yet.
   *
   * @param sumsOnArrival whether to sum what comes at once, or not until {@link #sumUp}
   */
  TrunkReduction(RankState state, long step, boolean sumsOnArrival) {
    this.state = state;
    this.step = step;
    this.segments = state.segments().of(state.rank());
    this.ranks = state.slices().ranks();
    this.early_SR = new TensorPayload[segments.size()][ranks];
    this.summedRanks_S = new int[segments.size()];
    this.unfinished = segments.size();
    this.sumsOnArrival = sumsOnArrival;
  }

  long step() {
    return step;
  }

  /** Whether the gradients of all ranks are in the sum. */
  boolean isComplete() {
    return unfinished == 0;
  }

  /**
   * Takes a rank's gradient of a segment, unless it has it.
   *
   * @return whether this completed the sum
   */
  boolean accept(int rank, int segment, TensorPayload rows) {
    if (!isMissing(rank, segment) || rows.tensor().size() != segments.get(segment).count()) {
      rows.release();
      return false;
    }
    early_SR[segment][rank] = rows;
    return sumsOnArrival && add(segment);
  }

  /**
   * Sums what has come, and from now on what comes.
   *
   * @return whether the gradients of all ranks are in the sum
   */
  boolean sumUp() {
    if (!sumsOnArrival) {
      sumsOnArrival = true;
      for (int segment = 0; segment < early_SR.length; segment++) {
        add(segment);
      }
    }
    return isComplete();
  }

  private boolean add(int segment) {
    addWhoseTurnItIs(segment);
    if (summedRanks_S[segment] < ranks) {
      return false;
    }
    unfinished--;
    if (isComplete()) {
      state.gradientStep(step);
    }
    return isComplete();
  }

  /** Whether a rank's gradient of a segment has not come yet; false if there is no such one. */
  boolean isMissing(int rank, int segment) {
    return segment >= 0
        && segment < summedRanks_S.length
        && rank >= summedRanks_S[segment]
        && rank < ranks
        && early_SR[segment][rank] == null;
  }

  private void addWhoseTurnItIs(int segment) {
    Kernels kernels = state.device().kernels();
    Tensor sum = state.gradientSum(segments.get(segment));
    TensorPayload[] early_R = early_SR[segment];
    while (summedRanks_S[segment] < ranks && early_R[summedRanks_S[segment]] != null) {
      int rank = summedRanks_S[segment];
      if (ranks == 1) {
        // The sum is the gradient itself.
      } else if (rank == 0) {
        kernels.copy(sum, early_R[rank].tensor());
      } else {
        kernels.add(sum, early_R[rank].tensor());
      }
      summedRanks_S[segment]++;
      early_R[rank].release();
      early_R[rank] = null;
    }
  }

  /** Sum of squares of the summed slice; zero if it holds nothing but what gates keep. */
  Readback squaredNorm() {
    try (Tensor sum = state.device().zeros(1, 1)) {
      Tensor gradient = state.optimizedGradientSum();
      if (gradient.size() > 0) {
        state.device().kernels().sumSquares(sum, gradient);
      }
      return state.device().read(sum);
    }
  }

  @Override
  public void close() {
    for (TensorPayload[] early_R : early_SR) {
      for (TensorPayload rows : early_R) {
        if (rows != null) {
          rows.release();
        }
      }
    }
  }
}
