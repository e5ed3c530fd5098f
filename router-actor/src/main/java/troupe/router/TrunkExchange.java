package troupe.router;

import java.util.function.BiConsumer;
import java.util.function.DoubleSupplier;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Readback;
import troupe.core.tensor.Tensor;
import troupe.expert.network.TensorPayload;
import troupe.router.trunk.RankState;
import troupe.router.trunk.Segments.Segment;
import troupe.transport.BatchHeader;
import troupe.transport.Phase;

/**
 * The trunk's part of a step, shared out over ranks: every rank sends each other rank its gradient
 * of the slice that rank owns, in segments as backward is done with them, sums what it gets for its
 * own in rank order, updates it once the step is decided and sends it to all.
 */
final class TrunkExchange {
  /** More than any layer: nothing is final. */
  private static final int NOTHING = Integer.MAX_VALUE;

  private final RankState state;
  private final RouterMail mail;
  private final BiConsumer<Long, Readback> onNorm;
  private TrunkReduction reduction;

  /** Gradients of this layer and those behind it are final. */
  private int finalFrom = NOTHING;

  /** Gradients of this layer and those behind it are sent. */
  private int sentFrom = NOTHING;

  private boolean allHaveBegun;
  private boolean passEnded;
  private DoubleSupplier lossSum;

  /**
   * The trunk's part of the steps of a rank.
   *
   * @param onNorm called on any thread; has {@link #report(long, Readback)} called on this one's
   */
  TrunkExchange(RankState state, RouterMail mail, BiConsumer<Long, Readback> onNorm) {
    this.state = state;
    this.mail = mail;
    this.onNorm = onNorm;
  }

  /** A step begins: segments of other ranks may come from now on. */
  void begin(long step) {
    end();
    state.gradientStep(-1);
    reduction = new TrunkReduction(state, step, state.device().isHostMemory());
    finalFrom = NOTHING;
    sentFrom = NOTHING;
    allHaveBegun = false;
    passEnded = false;
  }

  /**
   * Every rank has begun this step. Before that a rank would drop what it gets, and wait for it
   * until somebody asks.
   */
  void allHaveBegun() {
    allHaveBegun = true;
    sendFinal();
  }

  /** This rank's gradients of a layer and those behind it change no more in this step. */
  void gradientsFinal(int layer) {
    finalFrom = layer;
    sendFinal();
  }

  private void sendFinal() {
    if (reduction != null && allHaveBegun && finalFrom < sentFrom) {
      int before = sentFrom;
      sentFrom = finalFrom;
      send(finalFrom, before);
    }
  }

  /** Sends the segments that became final after {@code from} or a layer behind it. */
  private void send(int from, int before) {
    for (int owner = 0; owner < state.slices().ranks(); owner++) {
      for (Segment segment : state.segments().of(owner)) {
        if (segment.finalAfter() >= from && segment.finalAfter() < before) {
          send(segment);
        }
      }
    }
  }

  private void send(Segment segment) {
    Tensor gradient = state.gradient(segment);
    if (segment.owner() == state.rank()) {
      accept(state.rank(), segment.number(), TensorPayload.lent(gradient));
    } else {
      mail.toRank(
          Phase.TRUNK_GRADIENT, reduction.step(), segment.number(), segment.owner(), gradient);
    }
  }

  /**
   * This rank's pass is over: all its gradients are final.
   *
   * @param lossSumOfRank asked for once the device has come to the end of the step
   */
  void passEnded(DoubleSupplier lossSumOfRank) {
    lossSum = lossSumOfRank;
    passEnded = true;
    if (reduction.sumUp()) {
      report();
    }
  }

  /** Takes a segment of another rank's gradient; returns whether it was awaited. */
  boolean onGradient(BatchHeader header, TensorPayload rows) {
    if (reduction == null || reduction.step() != header.step()) {
      rows.release();
      return false;
    }
    boolean awaited = reduction.isMissing(header.rank(), header.microBatch());
    accept(header.rank(), header.microBatch(), rows);
    return awaited;
  }

  private void accept(int fromRank, int segment, TensorPayload rows) {
    if (reduction.accept(fromRank, segment, rows) && passEnded) {
      report();
    }
  }

  /** Reports the gradient once its norm is known. */
  private void report() {
    long step = reduction.step();
    Readback squaredNorm = reduction.squaredNorm();
    if (squaredNorm.isDone()) {
      report(step, squaredNorm);
    } else {
      squaredNorm.whenDone(() -> onNorm.accept(step, squaredNorm));
    }
  }

  /** The device has summed the squares of the gradient of a step. */
  void report(long step, Readback squaredNorm) {
    if (reduction != null && reduction.step() == step) {
      mail.tell(
          new RouterActor.GradientReady(
              state.incarnations().epoch(),
              step,
              state.rank(),
              lossSum.getAsDouble(),
              squaredNorm.values()[0]));
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
        mail.toRank(Phase.TRUNK_PARAMETERS, step, 0, other, state.parameterSlice(state.rank()));
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
   * Nothing moves: other ranks may have missed what this rank sent; those that have them drop
   * these.
   */
  void resend() {
    if (reduction == null) {
      return;
    }
    if (state.owned().committedStep() == reduction.step()) {
      sendParameters(reduction.step());
    } else {
      send(sentFrom, NOTHING);
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
