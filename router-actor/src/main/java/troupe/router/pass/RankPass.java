package troupe.router.pass;

import java.util.ArrayList;
import java.util.List;
import troupe.core.tensor.Tensor;
import troupe.router.gate.NonFiniteLogitsException;
import troupe.router.trunk.Divergence;
import troupe.router.trunk.LayerStats;
import troupe.router.trunk.MicroBatch;
import troupe.router.trunk.MoeActivations;
import troupe.router.trunk.MoeLayer;
import troupe.router.trunk.RankState;
import troupe.transport.Phase;

/**
 * One pass of a rank over its micro-batches: forward, and in training backward.
 *
 * <p>The pass is a fixed list of pieces, micro-batch by micro-batch within each layer:
 *
 * <pre>
 *   FORWARD(0, m0) DISPATCH(0, m0) FORWARD(0, m1) DISPATCH(0, m1) ... PREDICT(m0) PREDICT(m1) ... BACKWARD(0, m0) BACKWARD(0, m1)
 * </pre>
 *
 * Dispatch and what follows it end by sending rows to experts, and the next piece of the same
 * micro-batch waits for their answers; meanwhile the other micro-batches have theirs. The order
 * never depends on who answered first, so gradients are always summed in the same order. All
 * forward pieces come before the first backward piece because the balance loss needs the load of
 * the whole step.
 */
public final class RankPass implements AutoCloseable {
  private enum Kind {
    FORWARD,
    DISPATCH,
    PREDICT,
    BACKWARD
  }

  private record Piece(Kind kind, int layer, int micro) {}

  private final RankState state;
  private final List<MicroBatch> micros;
  private final boolean training;
  private final long step;
  private final long firstToken;
  private final long totalTokens;
  private final DrawsSource draws;
  private final Outgoing outgoing;
  private final List<Piece> pieces = new ArrayList<>();
  private final LayerStats[] stats;
  private final double[][] load_LE;
  private int next;
  private boolean predicts = true;

  private RankPass(
      RankState state,
      List<MicroBatch> micros,
      boolean training,
      long step,
      long firstToken,
      long totalTokens,
      DrawsSource draws,
      Outgoing outgoing) {
    this.state = state;
    this.micros = List.copyOf(micros);
    this.training = training;
    this.step = step;
    this.firstToken = firstToken;
    this.totalTokens = totalTokens;
    this.draws = draws;
    this.outgoing = outgoing;
    int layers = state.config().model().layers();
    this.stats = new LayerStats[layers];
    this.load_LE = new double[layers][];
    for (int layer = 0; layer < layers; layer++) {
      addForward(layer);
    }
    add(Kind.PREDICT, layers - 1);
    for (int layer = layers - 1; training && layer >= 0; layer--) {
      add(Kind.BACKWARD, layer);
    }
  }

  /**
   * Where the device routes, the host learns late how many rows each expert gets: until then the
   * gates of the other micro-batches keep the device busy. Where the host routes it knows at once,
   * and experts should begin.
   */
  private void addForward(int layer) {
    MoeLayer moeLayer = state.moeLayer(layer);
    if (moeLayer != null && moeLayer.routesOnDevice()) {
      add(Kind.FORWARD, layer);
      add(Kind.DISPATCH, layer);
      return;
    }
    for (int micro = 0; micro < micros.size(); micro++) {
      pieces.add(new Piece(Kind.FORWARD, layer, micro));
      pieces.add(new Piece(Kind.DISPATCH, layer, micro));
    }
  }

  private void add(Kind kind, int layer) {
    for (int micro = 0; micro < micros.size(); micro++) {
      pieces.add(new Piece(kind, layer, micro));
    }
  }

  /**
   * A training pass.
   *
   * @param firstToken index of this rank's first token among those of the step
   * @param totalTokens tokens of the step over all ranks
   */
  public static RankPass training(
      RankState state,
      List<MicroBatch> micros,
      long step,
      long firstToken,
      long totalTokens,
      DrawsSource draws,
      Outgoing outgoing) {
    state.trunk().zeroGradients();
    return new RankPass(state, micros, true, step, firstToken, totalTokens, draws, outgoing);
  }

  /** A pass forward alone, without jitter, sampling or capacity; sums the loss. */
  public static RankPass evaluation(
      RankState state, List<MicroBatch> micros, long id, Outgoing outgoing) {
    return new RankPass(state, micros, false, id, 0, 0, noDraws(), outgoing);
  }

  /** A pass forward alone that stops at the residual stream after the last layer. */
  public static RankPass generation(RankState state, MicroBatch micro, long id, Outgoing outgoing) {
    RankPass pass = evaluation(state, List.of(micro), id, outgoing);
    pass.predicts = false;
    return pass;
  }

  private static DrawsSource noDraws() {
    return (step, layer, firstToken) -> null;
  }

  /** The step, or the number of the evaluation. */
  public long step() {
    return step;
  }

  /** Its micro-batches. */
  public List<MicroBatch> micros() {
    return micros;
  }

  /**
   * Cross entropy summed over the tokens of all micro-batches, in nats, once the pass is finished;
   * waits for the device.
   *
   * @throws DivergedException if it is not finite
   */
  public double lossSum() {
    double sum = 0;
    for (MicroBatch micro : micros) {
      sum += finiteLoss(micro);
    }
    return sum;
  }

  private static double finiteLoss(MicroBatch micro) {
    double loss = micro.lossSum();
    if (!Double.isFinite(loss)) {
      throw new DivergedException(Divergence.locate(micro) + ": loss " + loss);
    }
    return loss;
  }

  /** Whether every piece is done. */
  public boolean finished() {
    return next == pieces.size();
  }

  /** Runs pieces until one has to wait. */
  public void advance() {
    while (!finished() && ready(pieces.get(next))) {
      run(pieces.get(next));
      next++;
    }
  }

  private boolean ready(Piece piece) {
    MicroBatch micro = micros.get(piece.micro());
    return switch (piece.kind()) {
      case FORWARD -> piece.layer() == 0 || hasOutputs(micro, piece.layer() - 1);
      case DISPATCH -> true;
      case PREDICT -> hasOutputs(micro, piece.layer());
      case BACKWARD -> {
        MoeActivations moe = micro.layer(piece.layer()).moe();
        yield moe == null || load_LE[piece.layer()] != null && moe.missingInputGradient() < 0;
      }
    };
  }

  private static boolean hasOutputs(MicroBatch micro, int layer) {
    MoeActivations moe = micro.layer(layer).moe();
    return moe == null || moe.missingOutput() < 0;
  }

  private void run(Piece piece) {
    MicroBatch micro = micros.get(piece.micro());
    switch (piece.kind()) {
      case FORWARD -> forward(micro, piece.layer());
      case DISPATCH -> dispatch(micro, piece.layer());
      case PREDICT -> predict(micro, piece.layer());
      case BACKWARD -> backward(micro, piece.layer());
    }
    if (training && micro == micros.getLast()) {
      tellWhatIsFinal(piece);
    }
  }

  private void tellWhatIsFinal(Piece piece) {
    switch (piece.kind()) {
      case FORWARD, DISPATCH -> {}
      case PREDICT -> outgoing.gradientsFinal(piece.layer() + 1);
      case BACKWARD -> outgoing.gradientsFinal(piece.layer());
    }
  }

  private void forward(MicroBatch micro, int layer) {
    if (layer == 0) {
      state.trunk().embed(micro);
    } else {
      combine(micro, layer - 1);
    }
    state.trunk().attend(micro, layer);
    MoeLayer moeLayer = state.moeLayer(layer);
    if (moeLayer == null) {
      state.trunk().dense(micro, layer);
    } else {
      long first = firstToken + (long) micro.index() * micro.tokens();
      guarded(micro, () -> moeLayer.route(micro, layer, draws.draws(step, layer, first), training));
    }
  }

  private void dispatch(MicroBatch micro, int layer) {
    MoeLayer moeLayer = state.moeLayer(layer);
    if (moeLayer == null) {
      return;
    }
    guarded(micro, () -> moeLayer.dispatch(micro, layer));
    MoeActivations moe = micro.layer(layer).moe();
    for (int expert = 0; expert < experts(); expert++) {
      outgoing.send(
          training ? Phase.FORWARD : Phase.EVALUATE,
          micro.index(),
          layer,
          expert,
          moe.rowsFor(expert));
    }
    stats[layer] =
        (stats[layer] == null ? LayerStats.none(experts()) : stats[layer])
            .plus(moe.routed().stats());
    if (micro == micros.getLast()) {
      outgoing.routed(layer, stats[layer]);
    }
  }

  /** Says where logits that are not finite come from. */
  private static void guarded(MicroBatch micro, Runnable gate) {
    try {
      gate.run();
    } catch (NonFiniteLogitsException e) {
      throw new DivergedException(Divergence.locate(micro) + ": " + e.getMessage());
    }
  }

  private void combine(MicroBatch micro, int layer) {
    if (state.moeLayer(layer) != null) {
      state.moeLayer(layer).combine(micro, layer);
    }
  }

  private void predict(MicroBatch micro, int layer) {
    combine(micro, layer);
    if (!predicts) {
      return;
    }
    state.trunk().predict(micro, training ? 1.0 / totalTokens : 0);
    if (!training || micro.hasLosses()) {
      finiteLoss(micro);
    }
    if (training) {
      sendGradients(micro, layer);
    } else {
      micro.close();
    }
  }

  private void backward(MicroBatch micro, int layer) {
    if (state.moeLayer(layer) == null) {
      state.trunk().denseBackward(micro, layer);
    } else {
      try (Tensor dH_TD =
          state.moeLayer(layer).routeBackward(micro, layer, load_LE[layer], totalTokens)) {
        state.trunk().attendBackward(micro, layer, dH_TD);
      }
    }
    if (layer == 0) {
      state.trunk().embedBackward(micro);
    } else {
      sendGradients(micro, layer - 1);
    }
  }

  private void sendGradients(MicroBatch micro, int layer) {
    if (state.moeLayer(layer) == null) {
      return;
    }
    MoeActivations moe = state.moeLayer(layer).combineBackward(micro, layer);
    for (int expert = 0; expert < experts(); expert++) {
      outgoing.send(Phase.BACKWARD, micro.index(), layer, expert, moe.gradientRowsFor(expert));
    }
  }

  /**
   * Takes the answer of an expert.
   *
   * @return whether it was awaited; if not the caller still owns the rows
   */
  public boolean accept(Phase phase, int microBatch, int layer, int expert, Tensor rows) {
    if (microBatch < 0
        || microBatch >= micros.size()
        || layer < 0
        || layer >= stats.length
        || micros.get(microBatch).layer(layer) == null
        || micros.get(microBatch).layer(layer).moe() == null) {
      return false;
    }
    MoeActivations moe = micros.get(microBatch).layer(layer).moe();
    return phase == Phase.OUTPUT
        ? moe.acceptOutput(expert, rows)
        : moe.acceptInputGradient(expert, rows);
  }

  /**
   * Takes the load of a layer over all ranks: the share of tokens that each expert was chosen for.
   */
  public void load(int layer, double[] load_E) {
    load_LE[layer] = load_E;
  }

  /** Sends everything of this pass to an expert again, in the order in which it went before. */
  public void resend(int layer, int expert) {
    for (MicroBatch micro : micros) {
      MoeActivations moe = micro.layer(layer) == null ? null : micro.layer(layer).moe();
      if (moe != null && moe.isDispatched()) {
        Phase phase = training ? Phase.FORWARD : Phase.EVALUATE;
        outgoing.send(phase, micro.index(), layer, expert, moe.rowsFor(expert));
        if (moe.gradientRowsFor(expert) != null) {
          outgoing.send(Phase.BACKWARD, micro.index(), layer, expert, moe.gradientRowsFor(expert));
        }
      }
    }
  }

  /** What the next piece waits for, or {@code null} if nothing. */
  public Waiting waiting() {
    if (finished() || ready(pieces.get(next))) {
      return null;
    }
    Piece piece = pieces.get(next);
    int layer = piece.kind() == Kind.FORWARD ? piece.layer() - 1 : piece.layer();
    MoeActivations moe = micros.get(piece.micro()).layer(layer).moe();
    int expert = piece.kind() == Kind.BACKWARD ? moe.missingInputGradient() : moe.missingOutput();
    return new Waiting(layer, piece.micro(), expert);
  }

  /**
   * What a pass waits for.
   *
   * @param expert the first expert that has not answered, or -1 for the global load of the layer
   */
  public record Waiting(int layer, int microBatch, int expert) {}

  private int experts() {
    return state.config().experts().count();
  }

  @Override
  public void close() {
    micros.forEach(MicroBatch::close);
  }
}
