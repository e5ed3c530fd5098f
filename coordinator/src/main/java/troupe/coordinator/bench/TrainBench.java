package troupe.coordinator.bench;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import troupe.coordinator.RunListener;
import troupe.coordinator.RunTask;
import troupe.coordinator.StepReport;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.host.Model;
import troupe.coordinator.run.LocalRun;
import troupe.coordinator.run.ModelDevice;
import troupe.coordinator.run.RunFailedException;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.random.Philox;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.KernelProfiler;
import troupe.router.BatchSource;
import troupe.router.gate.CounterDraws;

/**
 * Times whole training steps through the real actors, on random tokens, without checkpoints: the
 * work of a run and nothing else. A few more steps are run with every kernel timed; they do not
 * count.
 */
public final class TrainBench {
  private static final int PROFILE_WARM_UP_STEPS = 20;
  private static final int PROFILED_STEPS = 10;

  private TrainBench() {}

  /**
   * What was measured.
   *
   * @param stepMs wall-clock milliseconds of each timed step
   * @param flopsPerToken floating-point operations a token, forward and backward, of matrix
   *     products alone
   * @param threads compute threads
   * @param ownClock whether kernels were timed by the device, of which one stands for all: {@code
   *     kernelMs} is then a part of the step, with {@link KernelProfiler#IDLE} in it
   * @param kernelMs milliseconds a step by kernel, over all threads, of the profiled steps
   * @param profiledStepMs median of the profiled steps
   */
  public record Result(
      double[] stepMs,
      long tokensPerStep,
      double flopsPerToken,
      int threads,
      boolean ownClock,
      Map<String, Double> kernelMs,
      double profiledStepMs) {
    /** The milliseconds of a profiled step that {@link #kernelMs} is a share of. */
    public double capacityMs() {
      return ownClock ? profiledStepMs : profiledStepMs * threads;
    }

    /** Median milliseconds of a step. */
    public double medianMs() {
      return Median.of(stepMs);
    }

    /** Tokens a second at the median step. */
    public double tokensPerSecond() {
      return tokensPerStep / medianMs() * 1e3;
    }

    /** Share of the time in the profiled steps that no kernel accounts for, idle time included. */
    public double outsideKernels() {
      double inside =
          kernelMs.entrySet().stream()
              .filter(entry -> !entry.getKey().equals(KernelProfiler.IDLE))
              .mapToDouble(Map.Entry::getValue)
              .sum();
      return 1 - inside / capacityMs();
    }

    /** Share of the profiled steps in which the device waited between two kernels. */
    public double idle() {
      return kernelMs.getOrDefault(KernelProfiler.IDLE, 0.0) / capacityMs();
    }
  }

  /**
   * Runs {@code warmUp} steps, then times {@code steps}. The profile comes first, so that what is
   * timed is code that the JIT compiler is done with.
   */
  public static Result run(RunConfig config, int warmUp, int steps) {
    Map<String, Double> kernelMs = new LinkedHashMap<>();
    double[] profiledMs;
    int threads;
    boolean ownClock;
    try (DeviceGroup devices = profiled(ModelDevice.open(config))) {
      // Of several GPUs the first stands for all.
      KernelProfiler profiler = devices.first().profiler();
      profiledMs = stepMs(config, devices, PROFILE_WARM_UP_STEPS, PROFILED_STEPS, profiler::begin);
      profiler.end().entrySet().stream()
          .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
          .forEach(entry -> kernelMs.put(entry.getKey(), entry.getValue() / 1e6 / PROFILED_STEPS));
      threads = ComputeThreads.count(config.cluster().threads(), devices);
      ownClock = !(devices.first() instanceof ProfiledDevice);
    }
    return new Result(
        timed(config, warmUp, steps),
        (long) config.train().batch() * config.model().seq(),
        flopsPerToken(config),
        threads,
        ownClock,
        kernelMs,
        Median.of(profiledMs));
  }

  /**
   * Wall-clock milliseconds of {@code steps} steps after {@code warmUp}, nothing else timed. With
   * {@code gate.type=balanced} this is what a step takes when every expert gets as many rows.
   */
  public static double[] timed(RunConfig config, int warmUp, int steps) {
    try (DeviceGroup devices = ModelDevice.open(config)) {
      return stepMs(config, devices, warmUp, steps, () -> {});
    }
  }

  private static DeviceGroup profiled(DeviceGroup devices) {
    return devices.first().profiler() == null
        ? DeviceGroup.of(new ProfiledDevice(devices.first()))
        : devices;
  }

  private static double[] stepMs(
      RunConfig config, DeviceGroup devices, int warmUp, int steps, Runnable whenWarm) {
    try (Model model = new Model(devices, config)) {
      Clock clock = new Clock(warmUp, whenWarm);
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

  /** Six operations a weight that a token meets, and the causal half of attention's products. */
  private static double flopsPerToken(RunConfig config) {
    RunConfig.Model model = config.model();
    double d = model.dModel();
    double pre = model.activation().preWidth(model.dFf());
    double weights = model.layers() * (4 * d * d + d * pre + d * model.dFf()) + model.vocab() * d;
    return 6 * weights + 6 * model.layers() * model.seq() * d;
  }

  /** Takes the wall-clock time between commits. */
  private static final class Clock implements RunListener {
    private final int warmUp;
    private final Runnable whenWarm;
    private final List<Double> stepMs = new ArrayList<>();
    private final CompletableFuture<Outcome> outcome = new CompletableFuture<>();
    private long last = System.nanoTime();

    Clock(int warmUp, Runnable whenWarm) {
      this.warmUp = warmUp;
      this.whenWarm = whenWarm;
    }

    @Override
    public void committed(StepReport report) {
      long now = System.nanoTime();
      stepMs.add((now - last) / 1e6);
      last = now;
      if (report.step() == warmUp) {
        whenWarm.run();
      }
    }

    @Override
    public void finished(Outcome end) {
      outcome.complete(end);
    }
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
