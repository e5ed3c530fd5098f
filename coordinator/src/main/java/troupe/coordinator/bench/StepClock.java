package troupe.coordinator.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.concurrent.CompletableFuture;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Model;
import troupe.coordinator.placement.Rebalancer;
import troupe.coordinator.run.LocalRun;
import troupe.coordinator.run.RunFailedException;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.random.Philox;
import troupe.core.tensor.DeviceGroup;
import troupe.router.BatchSource;
import troupe.router.gate.CounterDraws;

/**
 * Runs training steps on random tokens and takes the wall-clock time between commits. Where experts
 * are moved by load, at least so many steps come first that this has happened.
 */
final class StepClock implements RunListener {
  private final int warmUp;
  private final int steps;
  private final Runnable whenWarm;
  private final Runnable whenDone;
  private final List<Double> stepMs = new ArrayList<>();
  private final CompletableFuture<Outcome> outcome = new CompletableFuture<>();
  private long last = System.nanoTime();

  private final List<Routed> routed = new ArrayList<>();
  private EpochPlan plan;

  /**
   * What was measured of the steps that count.
   *
   * @param stepMs milliseconds of each
   * @param deviceImbalance what layers took, one after the other, over what they take where all
   *     devices have the same load; mean of all
   */
  record Times(double[] stepMs, double deviceImbalance) {}

  /** The load of a step, and who lived where. */
  private record Routed(SortedMap<Integer, long[]> load, EpochPlan plan) {
    double deviceImbalance() {
      return Rebalancer.overMean(load, plan.placement(), plan.nodes());
    }
  }

  private StepClock(int warmUp, int steps, Runnable whenWarm, Runnable whenDone) {
    this.warmUp = warmUp;
    this.steps = steps;
    this.whenWarm = whenWarm;
    this.whenDone = whenDone;
  }

  /** Times of {@code steps} steps after at least {@code leastWarmUp}. */
  static Times times(RunConfig config, DeviceGroup devices, int leastWarmUp, int steps) {
    return times(config, devices, leastWarmUp, steps, () -> {}, () -> {});
  }

  /**
   * Times of {@code steps} steps after at least {@code leastWarmUp}.
   *
   * @param whenWarm runs when the last step of the warm-up, at least one, is committed
   * @param whenDone runs when the last step is committed
   */
  static Times times(
      RunConfig config,
      DeviceGroup devices,
      int leastWarmUp,
      int steps,
      Runnable whenWarm,
      Runnable whenDone) {
    int warmUp = Math.max(leastWarmUp, untilMoved(config, devices));
    try (Model model = new Model(devices, config)) {
      StepClock clock = new StepClock(warmUp, steps, whenWarm, whenDone);
      LocalRun.Parts parts =
          LocalRun.Parts.withoutDisk(
              model,
              1,
              new RandomBatches(config),
              (step, layer, first) -> new CounterDraws(config.seed(), step, layer, first),
              List.of(new RunTask.Train(warmUp + steps)),
              clock);
      try (LocalRun _ = LocalRun.start(parts)) {
        if (clock.outcome.join() instanceof Outcome.Failed failed) {
          throw new RunFailedException(failed);
        }
      }
      return new Times(
          clock.stepMs.stream().skip(warmUp).mapToDouble(Double::doubleValue).toArray(),
          clock.routed.stream()
              .skip(warmUp)
              .mapToDouble(Routed::deviceImbalance)
              .average()
              .orElseThrow());
    }
  }

  /** Steps until experts have moved: for the first ones nobody looks whether they should. */
  private static int untilMoved(RunConfig config, DeviceGroup devices) {
    RunConfig.Placement placement = config.placement();
    boolean moves = placement.rebalance() == RunConfig.Rebalance.LOAD && devices.size() > 1;
    return moves ? 5 * placement.patienceSteps() / 2 : 0;
  }

  @Override
  public void epochBegan(EpochPlan began, String coordinator) {
    plan = began;
  }

  @Override
  public void committed(StepReport report) {
    long now = System.nanoTime();
    stepMs.add((now - last) / 1e6);
    last = now;
    // Looked at when no step is timed any more.
    routed.add(new Routed(report.load(), plan));
    if (report.step() == warmUp) {
      whenWarm.run();
    }
    if (report.step() == warmUp + steps) {
      whenDone.run();
    }
  }

  @Override
  public void finished(Outcome end) {
    outcome.complete(end);
  }

  /** Tokens drawn evenly, as a function of where they are. */
  private record RandomBatches(RunConfig config) implements BatchSource {
    @Override
    public Batch training(long step, int rank, int microBatch) {
      int ranks = config.train().ranks();
      int microBatches = config.train().microBatches();
      int sequences = config.train().batch() / ranks / microBatches;
      int seq = config.model().seq();
      int[] tokens = new int[sequences * seq];
      int[] targets = new int[tokens.length];
      for (int i = 0; i < tokens.length; i++) {
        long word = Philox.word64(config.seed(), (int) step, rank * microBatches + microBatch, i);
        tokens[i] = (int) Math.unsignedMultiplyHigh(word, config.model().vocab());
        targets[i] = (int) Math.unsignedMultiplyHigh(word * 31, config.model().vocab());
      }
      return new Batch(tokens, targets, sequences, seq);
    }

    @Override
    public Batch validation(int index, int count) {
      return training(-1 - index, 0, 0);
    }
  }
}
