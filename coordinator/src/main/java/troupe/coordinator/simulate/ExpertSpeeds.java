package troupe.coordinator.simulate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToDoubleFunction;
import troupe.coordinator.bench.Median;
import troupe.core.config.RunConfig;
import troupe.core.nn.FeedForward;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Device;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.TrunkParameters;

/** Seconds of an expert's work on one lane, and of its optimizer. */
record ExpertSpeeds(
    double forwardRow,
    double forwardBatch,
    double backwardRow,
    double backwardBatch,
    double optimizerParameter) {
  /** Fewest experts that take turns: with one its weights would be in a cache all the time. */
  private static final int FEWEST = 8;

  /** Of all experts of a lane, where these are many: what no cache holds anyway. */
  private static final long MOST_BYTES = 256L << 20;

  /** An expert's parameters, gradients and two moments, in float32. */
  private static final int PARAMETER_BYTES = 16;

  /** Batches of these shares of the mean batch. */
  private static final double[] SHARES = {0.25, 0.5, 1, 2, 3};

  private static final long WARM_UP_NS = 1_000_000_000;
  private static final int REPEATS = 7;

  static ExpertSpeeds mean(List<ExpertSpeeds> lanes) {
    return new ExpertSpeeds(
        mean(lanes, ExpertSpeeds::forwardRow),
        mean(lanes, ExpertSpeeds::forwardBatch),
        mean(lanes, ExpertSpeeds::backwardRow),
        mean(lanes, ExpertSpeeds::backwardBatch),
        mean(lanes, ExpertSpeeds::optimizerParameter));
  }

  private static double mean(List<ExpertSpeeds> lanes, ToDoubleFunction<ExpertSpeeds> speed) {
    return lanes.stream().mapToDouble(speed).average().orElseThrow();
  }

  /** Measures on the calling thread, after meeting the other lanes. */
  static ExpertSpeeds measure(
      Device device, RunConfig config, int lane, int lanes, Calibration.Barrier barrier) {
    try (Experts experts = new Experts(device, config, lane, turns(config, lanes))) {
      double[] rows =
          Arrays.stream(SHARES)
              .map(share -> Math.max(1, Math.rint(share * meanRows(config))))
              .distinct()
              .toArray();
      long until = LaneClock.nanos() + WARM_UP_NS;
      while (LaneClock.nanos() < until) {
        experts.time((int) rows[rows.length - 1]);
        experts.time((int) rows[0]);
      }
      barrier.await();
      double[][] times = new double[rows.length][];
      for (int i = 0; i < rows.length; i++) {
        times[i] = experts.mean((int) rows[i]);
      }
      until = LaneClock.nanos() + WARM_UP_NS;
      while (LaneClock.nanos() < until) {
        experts.update();
      }
      barrier.await();
      double optimizer = experts.optimizer();
      if (rows.length == 1) {
        return new ExpertSpeeds(times[0][0] / rows[0], 0, times[0][1] / rows[0], 0, optimizer);
      }
      double[] forward =
          LeastSquares.line(rows, Arrays.stream(times).mapToDouble(time -> time[0]).toArray());
      double[] backward =
          LeastSquares.line(rows, Arrays.stream(times).mapToDouble(time -> time[1]).toArray());
      return new ExpertSpeeds(forward[1], forward[0], backward[1], backward[0], optimizer);
    }
  }

  /** Rows of an expert in a micro-batch of the config's training. */
  private static double meanRows(RunConfig config) {
    RunConfig.Train train = config.train();
    double tokens =
        (double) train.batch() * config.model().seq() / train.ranks() / train.microBatches();
    return tokens * config.gate().topK() / config.experts().count();
  }

  /**
   * How many experts take turns: as many as a lane has in training, for that is how far their
   * weights are from a core when they are asked for again.
   */
  private static int turns(RunConfig config, int lanes) {
    int layer = config.model().moeLayers().getFirst();
    long bytes = PARAMETER_BYTES * TrunkParameters.expertLayout(config, layer, 0).size();
    long experts = (long) config.experts().count() * config.model().moeLayers().size();
    long most = Math.max(FEWEST, MOST_BYTES / bytes);
    return (int) Math.clamp(experts / lanes, FEWEST, most);
  }

  /** The experts of a lane. */
  private static final class Experts implements AutoCloseable {
    private final Device device;
    private final RunConfig config;
    private final List<ExpertState> states = new ArrayList<>();
    private final int turns;
    private int turn;
    private long step;

    Experts(Device device, RunConfig config, int lane, int turns) {
      this.device = device;
      this.config = config;
      this.turns = turns;
      int layer = config.model().moeLayers().getFirst();
      for (int i = 0; i < turns; i++) {
        states.add(
            new ExpertState(
                device,
                layer,
                lane * turns + i,
                TrunkParameters.expertLayout(config, layer, lane * turns + i),
                config.model().activation(),
                config.optimizer().weightDecay(),
                config.seed()));
      }
    }

    /** Seconds of forward and backward of one batch. */
    double[] time(int rows) {
      ExpertState state = states.get(turn++ % turns);
      FeedForward network = state.network();
      int d = config.model().dModel();
      try (Tensor x_RD = device.allocateActivations(rows, d);
          Tensor dY_RD = device.allocateActivations(rows, d)) {
        device.kernels().fill(x_RD, 0.5);
        device.kernels().fill(dY_RD, 1e-3);
        long began = LaneClock.nanos();
        try (Tensor y_RD = device.allocateActivations(rows, d);
            FeedForward.Saved saved = network.forward(y_RD, x_RD)) {
          long forward = LaneClock.nanos();
          try (Tensor dX_RD = device.allocateActivations(rows, d)) {
            network.backwardInput(dX_RD, dY_RD, saved);
            network.backwardWeights(
                state.gradients(), state.prefix(), dY_RD, x_RD, saved, turn / turns % 2 == 0);
          }
          return new double[] {(forward - began) / 1e9, (LaneClock.nanos() - forward) / 1e9};
        }
      }
    }

    /** Means, not medians: a step adds up many batches, the long ones too. */
    double[] mean(int rows) {
      double[] mean = new double[2];
      for (int i = 0; i < REPEATS * turns; i++) {
        double[] seconds = time(rows);
        mean[0] += seconds[0] / (REPEATS * turns);
        mean[1] += seconds[1] / (REPEATS * turns);
      }
      return mean;
    }

    /** Seconds a parameter: the norm of the gradient and AdamW. */
    double optimizer() {
      double[] seconds = new double[REPEATS];
      for (int i = 0; i < REPEATS; i++) {
        seconds[i] = update();
      }
      return Median.of(seconds) / turns / states.getFirst().parameters().flat().size();
    }

    /** Seconds of a step of all experts. */
    double update() {
      step++;
      RunConfig.Optimizer optimizer = config.optimizer();
      AdamWStep hyper =
          new AdamWStep(1e-4, optimizer.beta1(), optimizer.beta2(), optimizer.epsilon(), step, 1);
      long began = LaneClock.nanos();
      for (ExpertState state : states) {
        state.squaredNorm().values();
        state.owned().apply(state.gradients().flat(), hyper, () -> {});
      }
      return (LaneClock.nanos() - began) / 1e9;
    }

    @Override
    public void close() {
      states.forEach(ExpertState::close);
    }
  }
}
