package troupe.coordinator.simulate;

import java.util.Arrays;
import java.util.List;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.random.Philox;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;
import troupe.router.gate.CounterDraws;
import troupe.router.trunk.MicroBatch;
import troupe.router.trunk.MoeActivations;
import troupe.router.trunk.MoeLayer;
import troupe.router.trunk.RankState;
import troupe.router.trunk.Trunk;

/** Seconds of what a rank computes itself, on one lane: everything but the experts. */
record RankSpeeds(
    double trunkForward,
    double trunkBackward,
    double routerForward,
    double routerBackward,
    double dispatchRow,
    double combineRow,
    double returnRow) {
  private static final long WARM_UP_NS = 3_000_000_000L;
  private static final int REPEATS = 25;

  /**
   * Seconds of each piece of each of some passes, on one lane.
   *
   * @param tokens of a pass
   * @param rows of a pass, over all layers
   */
  record Passes(double[][] seconds, double tokens, double rows) {}

  /**
   * Each piece is as long as that of the slowest lane, pass by pass, as in training, where ranks
   * wait for one another. Means, not medians: a step adds up many, the long ones too.
   */
  static RankSpeeds slowest(List<Passes> lanes, RunConfig config) {
    double[] mean = new double[Pass.PIECES];
    for (int i = 0; i < REPEATS; i++) {
      for (int piece = 0; piece < mean.length; piece++) {
        double most = 0;
        for (Passes lane : lanes) {
          most = Math.max(most, lane.seconds()[i][piece]);
        }
        mean[piece] += most / REPEATS;
      }
    }
    double tokens = lanes.getFirst().tokens();
    double layers = config.model().moeLayers().size();
    double rows = Math.max(1, lanes.stream().mapToDouble(Passes::rows).average().orElseThrow());
    return new RankSpeeds(
        mean[Pass.TRUNK] / tokens,
        mean[Pass.TRUNK_BACKWARD] / tokens,
        mean[Pass.ROUTER] / tokens / layers,
        mean[Pass.ROUTER_BACKWARD] / tokens / layers,
        mean[Pass.DISPATCH] / rows,
        mean[Pass.COMBINE] / rows,
        mean[Pass.RETURN] / rows);
  }

  /** Measures on the calling thread, meeting the other lanes before each pass. */
  static Passes measure(Device device, RunConfig config, int lane, Calibration.Barrier barrier) {
    try (RankState state = new RankState(device, config, lane % config.train().ranks())) {
      Pass pass = new Pass(state, lane);
      long until = LaneClock.nanos() + WARM_UP_NS;
      while (LaneClock.nanos() < until) {
        pass.run();
      }
      double[][] seconds = new double[REPEATS][];
      for (int i = 0; i < REPEATS; i++) {
        barrier.await();
        seconds[i] = pass.run();
      }
      return new Passes(seconds, pass.tokens(), pass.rows);
    }
  }

  /** A micro-batch forward and backward, with experts that hand back what they are given. */
  private static final class Pass {
    private static final int TRUNK = 0;
    private static final int TRUNK_BACKWARD = 1;
    private static final int ROUTER = 2;
    private static final int ROUTER_BACKWARD = 3;
    private static final int DISPATCH = 4;
    private static final int COMBINE = 5;
    private static final int RETURN = 6;
    private static final int PIECES = 7;

    private final RankState state;
    private final RunConfig config;
    private final Device device;
    private final Batch batch;
    private final int lane;
    private double[] seconds;
    private long last;
    private long step;

    /** Rows of the last pass, over all layers. */
    private long rows;

    Pass(RankState state, int lane) {
      this.state = state;
      this.config = state.config();
      this.device = state.device();
      this.lane = lane;
      RunConfig.Train train = config.train();
      int sequences = train.batch() / train.ranks() / train.microBatches();
      int[] tokens_T = new int[sequences * config.model().seq()];
      for (int t = 0; t < tokens_T.length; t++) {
        long word = Philox.word64(config.seed(), t, lane, 0);
        tokens_T[t] = (int) Math.unsignedMultiplyHigh(word, config.model().vocab());
      }
      this.batch = new Batch(tokens_T, tokens_T, sequences, config.model().seq());
    }

    int tokens() {
      return batch.tokens_T().length;
    }

    double[] run() {
      seconds = new double[PIECES];
      step++;
      rows = 0;
      Trunk trunk = state.trunk();
      int layers = config.model().layers();
      try (MicroBatch micro = new MicroBatch(0, batch, layers)) {
        last = LaneClock.nanos();
        device.kernels().fill(state.gradients().flat(), 0);
        trunk.embed(micro);
        for (int layer = 0; layer < layers; layer++) {
          forward(micro, layer);
        }
        trunk.predict(micro, 1.0 / tokens());
        lap(TRUNK);
        for (int layer = layers - 1; layer >= 0; layer--) {
          backward(micro, layer);
        }
        trunk.embedBackward(micro);
        lap(TRUNK_BACKWARD);
      }
      return seconds;
    }

    private void forward(MicroBatch micro, int layer) {
      state.trunk().attend(micro, layer);
      MoeLayer moeLayer = state.moeLayer(layer);
      if (moeLayer == null) {
        state.trunk().dense(micro, layer);
        lap(TRUNK);
        return;
      }
      lap(TRUNK);
      MoeActivations moe =
          moeLayer.route(
              micro,
              layer,
              new CounterDraws(config.seed(), step, layer, (long) lane * tokens()),
              true);
      lap(ROUTER);
      moeLayer.dispatch(micro, layer);
      lap(DISPATCH);
      for (int expert = 0; expert < config.experts().count(); expert++) {
        rows += moe.rowsFor(expert).rows();
        moe.acceptOutput(expert, copy(moe.rowsFor(expert)));
      }
      last = LaneClock.nanos();
      moeLayer.combine(micro, layer);
      lap(COMBINE);
    }

    private void backward(MicroBatch micro, int layer) {
      MoeLayer moeLayer = state.moeLayer(layer);
      if (moeLayer == null) {
        state.trunk().denseBackward(micro, layer);
        lap(TRUNK_BACKWARD);
        return;
      }
      lap(TRUNK_BACKWARD);
      MoeActivations moe = moeLayer.combineBackward(micro, layer);
      lap(RETURN);
      for (int expert = 0; expert < config.experts().count(); expert++) {
        moe.acceptInputGradient(expert, copy(moe.gradientRowsFor(expert)));
      }
      last = LaneClock.nanos();
      double[] load_E = new double[config.experts().count()];
      Arrays.fill(load_E, 1.0 / load_E.length);
      try (Tensor dH_TD = moeLayer.routeBackward(micro, layer, load_E, tokens())) {
        lap(ROUTER_BACKWARD);
        state.trunk().attendBackward(micro, layer, dH_TD);
      }
      lap(TRUNK_BACKWARD);
    }

    private Tensor copy(Tensor rows_RD) {
      Tensor copy = device.allocateActivations(rows_RD.rows(), rows_RD.columns());
      device.kernels().copy(copy, rows_RD);
      return copy;
    }

    private void lap(int piece) {
      long now = LaneClock.nanos();
      seconds[piece] += (now - last) / 1e9;
      last = now;
    }
  }
}
