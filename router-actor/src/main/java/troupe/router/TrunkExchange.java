package troupe.router;

import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Tensor;
import troupe.expert.network.TensorPayload;
import troupe.router.trunk.RankState;
import troupe.transport.BatchHeader;
import troupe.transport.Phase;

/**
 * The trunk's part of a step, shared out over ranks: every rank sends each other rank its gradient
 * of the slice that rank owns, sums what it gets for its own in rank order, updates it once the
 * step is decided and sends it to all.
 */
final class TrunkExchange {
  private final RankState state;
  private final RouterMail mail;
  private TrunkReduction reduction;
  private double lossSum;

  TrunkExchange(RankState state, RouterMail mail) {
    this.state = state;
    this.mail = mail;
  }

  /** A step begins: slices of other ranks may come from now on. */
  void begin(long step) {
    end();
    state.gradientStep(-1);
    reduction = new TrunkReduction(state, step);
  }

  /** This rank's gradients are complete. */
  void sendGradients(double lossSumOfRank) {
    lossSum = lossSumOfRank;
    for (int owner = 0; owner < state.slices().ranks(); owner++) {
      Tensor slice = state.gradientSlice(owner);
      if (owner == state.rank()) {
        accept(owner, TensorPayload.lent(slice));
      } else {
        mail.toRank(Phase.TRUNK_GRADIENT, reduction.step(), owner, slice);
      }
    }
  }

  /** Takes a slice of another rank's gradient; returns whether it was awaited. */
  boolean onGradient(BatchHeader header, TensorPayload rows) {
    if (reduction == null || reduction.step() != header.step()) {
      rows.release();
      return false;
    }
    int missing = reduction.missing();
    accept(header.rank(), rows);
    return reduction.missing() < missing;
  }

  private void accept(int fromRank, TensorPayload slice) {
    if (reduction.accept(fromRank, slice)) {
      mail.tell(
          new RouterActor.GradientReady(
              state.incarnations().epoch(),
              reduction.step(),
              state.rank(),
              lossSum,
              reduction.squaredNorm()));
    }
  }

  /** The step is decided. Does nothing without its gradient; may be repeated. */
  void apply(AdamWStep hyper) {
    long step = hyper.step();
    if (step == state.owned().committedStep() + 1 && state.gradientStep() == step) {
      state.owned().apply(state.gradientSum(), hyper, () -> {});
      state.sliceUpdated(state.rank(), step);
    }
    if (step == state.owned().committedStep()) {
      sendParameters(step);
      reportIfApplied(step);
    }
  }

  private void sendParameters(long step) {
    for (int other = 0; other < state.slices().ranks(); other++) {
      if (other != state.rank()) {
        mail.toRank(Phase.TRUNK_PARAMETERS, step, other, state.parameterSlice(state.rank()));
      }
    }
  }

  /**
   * Slices of others may come before this rank's own Apply: its work on the old ones is done either
   * way.
   *
   * @return whether it was awaited
   */
  boolean onParameters(BatchHeader header, TensorPayload rows) {
    int owner = header.rank();
    boolean awaited = header.step() == state.sliceStep(owner) + 1;
    if (awaited) {
      state.device().kernels().copy(state.parameterSlice(owner), rows.tensor());
      state.sliceUpdated(owner, header.step());
      reportIfApplied(header.step());
    }
    rows.release();
    return awaited;
  }

  private void reportIfApplied(long step) {
    if (state.hasAllSlices(step)) {
      mail.tell(new RouterActor.Applied(state.incarnations().epoch(), step, state.rank()));
    }
  }

  /**
   * Nothing moves: other ranks may have missed this rank's slices; those that have them drop these.
   */
  void resend() {
    if (reduction == null) {
      return;
    }
    if (state.owned().committedStep() == reduction.step()) {
      sendParameters(reduction.step());
    } else {
      sendGradients(lossSum);
    }
  }

  /** The step is over, or given up. */
  void end() {
    if (reduction != null) {
      reduction.close();
      reduction = null;
    }
  }
}
