package troupe.coordinator.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.StepReport;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.coordinator.run.LocalRun;
import troupe.coordinator.run.RunFailedException;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.random.Philox;
import troupe.core.tensor.DeviceGroup;
import troupe.router.BatchSource;
import troupe.router.gate.CounterDraws;

/** Runs training steps on random tokens and takes the wall-clock time between commits. */
final class StepClock implements RunListener {
  private final int warmUp;
  private final int steps;
  private final Runnable whenWarm;
  private final Runnable whenDone;
  private final List<Double> stepMs = new ArrayList<>();
  private final CompletableFuture<Outcome> outcome = new CompletableFuture<>();
  private long last = System.nanoTime();

  private StepClock(int warmUp, int steps, Runnable whenWarm, Runnable whenDone) {
    this.warmUp = warmUp;
    this.steps = steps;
    this.whenWarm = whenWarm;
    this.whenDone = whenDone;
  }

  /** Milliseconds of {@code steps} steps after {@code warmUp}. */
  static double[] stepMs(RunConfig config, DeviceGroup devices, int warmUp, int steps) {
    return stepMs(config, devices, warmUp, steps, () -> {}, () -> {});
  }

  /**
   * Milliseconds of {@code steps} steps after {@code warmUp}.
   *
   * @param whenWarm runs when the last step of {@code warmUp}, at least one, is committed
   * @param whenDone runs when the last step is committed
   */
  static double[] stepMs(
      RunConfig config,
      DeviceGroup devices,
      int warmUp,
      int steps,
      Runnable whenWarm,
      Runnable whenDone) {
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
      return clock.stepMs.stream().skip(warmUp).mapToDouble(Double::doubleValue).toArray();
    }
  }

  @Override
  public void committed(StepReport report) {
    long now = System.nanoTime();
    stepMs.add((now - last) / 1e6);
    last = now;
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
