package troupe.coordinator.bench;

import java.util.Optional;
import java.util.OptionalDouble;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.run.ModelDevice;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DeviceGroup;

/**
 * Times whole training steps through the real actors, on random tokens, without checkpoints: the
 * work of a run and nothing else. A few more steps are profiled; they do not count.
 */
public final class TrainBench {
  private TrainBench() {}

  /**
   * What to measure.
   *
   * @param config of the steps
   * @param balanced the same with a forced even load, if that is measured too
   * @param warmUp steps before those that are timed; more where experts are moved by load
   * @param steps that are timed
   * @param mustRecord whether it is a mistake if GPUs cannot be recorded as they work; else kernels
   *     are then timed one by one
   */
  public record Plan(
      RunConfig config, Optional<RunConfig> balanced, int warmUp, int steps, boolean mustRecord) {}

  /**
   * What was measured.
   *
   * @param stepMs wall-clock milliseconds of each timed step
   * @param balancedMs the same with a forced even load; empty if not measured
   * @param deviceImbalance what layers took over what they take where all devices have the same
   *     load, with the real router; empty where there is one device
   * @param tokensPerStep tokens of a step
   * @param flopsPerToken floating-point operations a token, forward and backward, of matrix
   *     products alone
   * @param threads compute threads
   * @param profile where the time goes
   * @param notRecorded why GPUs were not recorded as they worked
   */
  public record Result(
      double[] stepMs,
      double[] balancedMs,
      OptionalDouble deviceImbalance,
      long tokensPerStep,
      double flopsPerToken,
      int threads,
      StepProfile profile,
      Optional<UserException> notRecorded) {
    /** Median milliseconds of a step. */
    public double medianMs() {
      return Median.of(stepMs);
    }

    /** Tokens a second at the median step. */
    public double tokensPerSecond() {
      return tokensPerSecond(stepMs);
    }

    /** Tokens a second at the median of some steps. */
    public double tokensPerSecond(double[] ofStepMs) {
      return tokensPerStep / Median.of(ofStepMs) * 1e3;
    }
  }

  /**
   * Times steps. What is timed is code that the JIT compiler is done with, for other steps come
   * first: those of the profile, unless it records GPUs, which slows down whatever comes after it.
   *
   * @throws UserException if GPUs cannot be recorded and the plan says that they must be
   */
  public static Result run(Plan plan) {
    RunConfig config = plan.config();
    Optional<UserException> notRecorded;
    Optional<StepProfile> profile = Optional.empty();
    int threads;
    boolean isOneDevice;
    try (DeviceGroup devices = ModelDevice.open(config)) {
      threads = ComputeThreads.count(config.cluster().threads(), devices);
      isOneDevice = devices.size() == 1;
      notRecorded = StepProfiler.whyNotRecorded(config, devices);
      refuse(plan, notRecorded);
      if (notRecorded.isPresent()) {
        profile = Optional.of(StepProfiler.timed(config, devices));
      } else {
        StepProfiler.rehearse(config, devices);
      }
    }
    StepClock.Times times = times(config, plan.warmUp(), plan.steps());
    double[] balancedMs =
        plan.balanced()
            .map(balanced -> timed(balanced, plan.warmUp(), plan.steps()))
            .orElseGet(() -> new double[0]);
    if (profile.isEmpty()) {
      try {
        profile = Optional.of(StepProfiler.recorded(config));
      } catch (UserException e) {
        notRecorded = Optional.of(e);
        refuse(plan, notRecorded);
        try (DeviceGroup devices = ModelDevice.open(config)) {
          profile = Optional.of(StepProfiler.timed(config, devices));
        }
      }
    }
    return new Result(
        times.stepMs(),
        balancedMs,
        isOneDevice ? OptionalDouble.empty() : OptionalDouble.of(times.deviceImbalance()),
        (long) config.train().batch() * config.model().seq(),
        flopsPerToken(config),
        threads,
        profile.orElseThrow(),
        notRecorded);
  }

  private static void refuse(Plan plan, Optional<UserException> notRecorded) {
    if (plan.mustRecord() && notRecorded.isPresent()) {
      throw notRecorded.get();
    }
  }

  /**
   * Wall-clock milliseconds of {@code steps} steps after {@code warmUp}, nothing else timed. With
   * {@code gate.type=balanced} this is what a step takes when every expert gets as many rows.
   */
  public static double[] timed(RunConfig config, int warmUp, int steps) {
    return times(config, warmUp, steps).stepMs();
  }

  private static StepClock.Times times(RunConfig config, int warmUp, int steps) {
    try (DeviceGroup devices = ModelDevice.open(config)) {
      return StepClock.times(config, devices, warmUp, steps);
    }
  }

  /** Six operations a weight that a token meets, and the causal half of attention's products. */
  private static double flopsPerToken(RunConfig config) {
    RunConfig.Model model = config.model();
    double d = model.dModel();
    double pre = model.activation().preWidth(model.dFf());
    double expert = d * pre + d * model.dFf();
    int experts = config.gate().expertsPerToken(config.experts().count());
    double weights = model.layers() * (4 * d * d + experts * expert) + model.vocab() * d;
    return 6 * weights + 6 * model.layers() * model.seq() * d;
  }
}
