package troupe.coordinator.bench;

import java.util.Optional;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.run.ModelDevice;
import troupe.core.UserException;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DeviceGroup;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.cuda.CudaDevice;
import troupe.core.tensor.cuda.CudaDevices;
import troupe.core.tensor.cuda.CuptiTimeline;
import troupe.core.tensor.cuda.GpuRecording;

/** Runs a few steps to see where their time goes. */
final class StepProfiler {
  private static final int WARM_UP_STEPS = 20;

  /** A few seconds of steps: a GPU idles for twice as long while the JVM still compiles. */
  private static final int REHEARSAL_STEPS = 100;

  private static final int STEPS = 10;

  private StepProfiler() {}

  /** Why steps on these devices cannot be recorded; empty if they probably can. */
  static Optional<UserException> whyNotRecorded(RunConfig config, DeviceGroup devices) {
    if (!(devices.first() instanceof CudaDevice)) {
      return Optional.of(
          new UserException(
              "profile: device " + devices.first().name() + " (expected: a GPU)", "device=cuda"));
    }
    try {
      CudaDevices.requireRecorder(config.cuda().lib());
      return Optional.empty();
    } catch (UserException e) {
      return Optional.of(e);
    }
  }

  /**
   * Steps of which nothing is kept: the JIT compiler is done with what drives GPUs then. More steps
   * before those that are timed would not do: on random tokens routers forget other experts.
   */
  static void rehearse(RunConfig config, DeviceGroup devices) {
    StepClock.times(config, devices, WARM_UP_STEPS, REHEARSAL_STEPS);
  }

  /**
   * Records what GPUs do as they do it. They cost more time at each launch from then on.
   *
   * @throws UserException if this process may not be profiled
   */
  static StepProfile recorded(RunConfig config) {
    try (DeviceGroup devices = ModelDevice.open(config);
        CuptiTimeline timeline = CudaDevices.record(devices.devices(), config.cuda().lib())) {
      double[] stepMs =
          StepClock.times(config, devices, WARM_UP_STEPS, STEPS, timeline::begin, timeline::cut)
              .stepMs();
      GpuRecording recording = timeline.end();
      if (recording.activities().isEmpty()) {
        throw new UserException(
            "profile: CUPTI has recorded nothing (lost: " + recording.lost() + ")",
            "CUPTI of the driver's own CUDA version may: cuda.lib=FOLDER with its libcupti.so");
      }
      return StepProfile.of(recording, STEPS, Median.of(stepMs));
    }
  }

  /** Times each kernel by itself: by a GPU's events, of the first of several, or by the threads. */
  static StepProfile timed(RunConfig config, DeviceGroup devices) {
    KernelProfiler own = devices.first().profiler();
    ProfiledDevice threads = own == null ? new ProfiledDevice(devices.first()) : null;
    KernelProfiler profiler = own == null ? threads : own;
    DeviceGroup group = own == null ? DeviceGroup.of(threads) : devices;
    double[] stepMs =
        StepClock.times(config, group, WARM_UP_STEPS, STEPS, profiler::begin, () -> {}).stepMs();
    return StepProfile.of(
        own == null ? StepProfile.Clock.THREADS : StepProfile.Clock.EVENTS,
        own == null ? ComputeThreads.count(config.cluster().threads(), devices) : 1,
        profiler.end(),
        STEPS,
        Median.of(stepMs));
  }
}
