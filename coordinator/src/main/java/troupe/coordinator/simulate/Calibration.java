package troupe.coordinator.simulate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import troupe.coordinator.bench.TrainBench;
import troupe.coordinator.run.ModelDevice;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;
import troupe.core.tensor.Device;
import troupe.core.tensor.DeviceGroup;

/**
 * Measures the pieces of a step on this machine, with the classes that train: experts alone, a rank
 * alone, the optimizer alone, and coordination alone, which is a whole run of the same actors and
 * messages with a model too small to compute anything. No piece knows what they will add up to, and
 * none is fitted to a run.
 *
 * <p>Lanes measure at the same time, so that each has its share of memory and clock as in training.
 */
final class Calibration {
  private static final int CONTROL_WARM_UP = 200;
  private static final int CONTROL_STEPS = 60;

  /** Beyond it coordination grows in proportion. */
  private static final int MOST_EXPERTS = 64;

  private static final int MOST_RANKS = 16;

  private final RunConfig config;
  private final int lanes;

  private Calibration(RunConfig config) {
    this.config = config;
    this.lanes = config.simulate().cluster().lanes();
  }

  /**
   * Measures.
   *
   * @param notice told what was found
   * @throws UserException if the device is not the host
   */
  static Speeds measure(RunConfig config, Consumer<String> notice) {
    Calibration calibration = new Calibration(config);
    try (DeviceGroup devices = ModelDevice.open(config)) {
      Device device = devices.first();
      if (!device.isHostMemory()) {
        throw new UserException(
            "simulate.cluster.measure: true with device " + device.name() + " (expected: cpu)",
            "device=cpu, or set the speeds of simulate.cluster");
      }
      ExpertSpeeds experts =
          ExpertSpeeds.mean(
              calibration.onAllLanes(
                  (lane, barrier) ->
                      ExpertSpeeds.measure(device, config, lane, calibration.lanes, barrier)));
      RankSpeeds rank =
          RankSpeeds.slowest(
              calibration.onAllLanes(
                  (lane, barrier) -> RankSpeeds.measure(device, config, lane, barrier)),
              config);
      Speeds speeds =
          new Speeds(
              experts.forwardRow(),
              experts.forwardBatch(),
              experts.backwardRow(),
              experts.backwardBatch(),
              rank.trunkForward(),
              rank.trunkBackward(),
              rank.routerForward(),
              rank.routerBackward(),
              rank.dispatchRow(),
              rank.combineRow(),
              rank.returnRow(),
              experts.optimizerParameter(),
              calibration.control());
      notice.accept(
          "measured: expert %.2f us a batch + %.3f us a row forward, %.2f + %.3f backward; trunk %.2f us a token; router %.3f; control %.2f ms a step"
              .formatted(
                  1e6 * speeds.expertForwardBatch(),
                  1e6 * speeds.expertForwardRow(),
                  1e6 * speeds.expertBackwardBatch(),
                  1e6 * speeds.expertBackwardRow(),
                  1e6 * (speeds.trunkForward() + speeds.trunkBackward()),
                  1e6 * (speeds.routerForward() + speeds.routerBackward()),
                  1e3 * speeds.control()));
      return speeds;
    }
  }

  /** What a lane measures; it meets the others before each part. */
  private interface Measurement<T> {
    T run(int lane, Barrier barrier);
  }

  /** Where lanes meet. */
  static final class Barrier {
    private final CyclicBarrier barrier;

    private Barrier(int parties) {
      barrier = new CyclicBarrier(parties);
    }

    void await() {
      try {
        barrier.await();
      } catch (InterruptedException | BrokenBarrierException e) {
        throw new CancellationException("interrupted");
      }
    }
  }

  private <T> List<T> onAllLanes(Measurement<T> measurement) {
    Barrier barrier = new Barrier(lanes);
    try (ExecutorService pool = Executors.newFixedThreadPool(lanes)) {
      List<Future<T>> futures = new ArrayList<>();
      for (int lane = 0; lane < lanes; lane++) {
        int number = lane;
        futures.add(pool.submit(() -> measurement.run(number, barrier)));
      }
      List<T> results = new ArrayList<>();
      for (Future<T> future : futures) {
        results.add(future.get());
      }
      return results;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new CancellationException("interrupted");
    } catch (ExecutionException e) {
      throw e.getCause() instanceof RuntimeException failure
          ? failure
          : new IllegalStateException(e.getCause());
    }
  }

  /**
   * A step of the same layers, experts, ranks and micro-batches with next to nothing in them: all
   * messages, hardly any work.
   */
  private double control() {
    int experts = Math.min(config.experts().count(), MOST_EXPERTS);
    int ranks = Math.min(Simulation.ranks(config), MOST_RANKS);
    int micro = config.train().microBatches();
    RunConfig small =
        ConfigLoader.parse(
            ResolvedConfig.render(config),
            List.of(
                "model.d_model=8",
                "model.heads=1",
                "model.d_ff=8",
                "model.vocab=16",
                // As many tokens for a rank as experts, so that each gets a batch as in training.
                "model.seq=" + experts,
                "gate.type=balanced",
                "gate.top_k=1",
                "gate.trace=false",
                "experts.count=" + experts,
                "experts.capacity_factor=0",
                "experts.capacity_groups=0",
                "train.ranks=" + ranks,
                "train.batch=" + ranks * micro,
                "cluster.threads=" + lanes,
                "simulate.trace=\"\"",
                "simulate.steps=1",
                "faults.expert_throws=[]"));
    double[] stepMs = TrainBench.timed(small, CONTROL_WARM_UP, CONTROL_STEPS);
    // A step that waits for another process tells nothing.
    Arrays.sort(stepMs);
    return stepMs[stepMs.length / 4] / 1e3 * config.experts().count() / experts;
  }
}
