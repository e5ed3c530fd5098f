package troupe.coordinator.bench;

import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import troupe.coordinator.timeline.KernelNames;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.cuda.BusyTime;
import troupe.core.tensor.cuda.GpuRecording;

/**
 * Where the time of training steps goes.
 *
 * @param clock what timed the kernels
 * @param width how many threads or GPUs share the work, whose time {@code kernelMs} is a part of
 * @param kernelMs milliseconds a step by kernel, the longest first, over all threads, streams and
 *     GPUs; by a GPU's events, {@link KernelProfiler#IDLE} is one
 * @param stepMs median of the profiled steps
 * @param recording everything that GPUs did, if that was recorded
 */
public record StepProfile(
    Clock clock,
    int width,
    Map<String, Double> kernelMs,
    double stepMs,
    Optional<GpuRecording> recording) {
  /** What kernels are timed by. */
  public enum Clock {
    /** The clock of the threads that call them. */
    THREADS,
    /** Events around each kernel of one GPU, which keep streams from running side by side. */
    EVENTS,
    /** CUPTI, which looks on as all GPUs work. */
    CUPTI;

    /** What people call it. */
    public String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** By the sums of a profiler. */
  static StepProfile of(
      Clock clock, int width, Map<String, Long> nanosByName, int steps, double stepMs) {
    return new StepProfile(clock, width, millis(nanosByName, steps), stepMs, Optional.empty());
  }

  /** By a recording of steps. */
  public static StepProfile of(GpuRecording recording, int steps, double stepMs) {
    Map<String, Long> nanos = new TreeMap<>();
    recording
        .nanosByName()
        .forEach((name, ns) -> nanos.merge(KernelNames.shorten(name), ns, Long::sum));
    int gpus = Math.max(1, recording.busyByGpu().size());
    return new StepProfile(Clock.CUPTI, gpus, millis(nanos, steps), stepMs, Optional.of(recording));
  }

  private static Map<String, Double> millis(Map<String, Long> nanosByName, int steps) {
    return nanosByName.entrySet().stream()
        .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
        .collect(
            Collectors.toMap(
                Map.Entry::getKey,
                entry -> entry.getValue() / 1e6 / steps,
                (a, b) -> a,
                LinkedHashMap::new));
  }

  /** The milliseconds of a profiled step that {@link #kernelMs} is a share of. */
  public double capacityMs() {
    return stepMs * width;
  }

  /** How busy each GPU was, by its number; empty unless recorded. */
  public SortedMap<Integer, BusyTime> busyByGpu() {
    return recording.map(GpuRecording::busyByGpu).orElseGet(TreeMap::new);
  }

  /**
   * Share of the time that no kernel accounts for, idle time included; of GPUs that were recorded
   * their mean.
   */
  public double outsideKernels() {
    if (clock == Clock.CUPTI) {
      return mean(busyByGpu().values());
    }
    double inside =
        kernelMs.entrySet().stream()
            .filter(entry -> !entry.getKey().equals(KernelProfiler.IDLE))
            .mapToDouble(Map.Entry::getValue)
            .sum();
    return 1 - inside / capacityMs();
  }

  private static double mean(Collection<BusyTime> gpus) {
    return gpus.stream().mapToDouble(BusyTime::outsideKernels).average().orElse(1);
  }

  /**
   * Share of the time in which a device had nothing to do: of the GPU with most of it where all
   * were recorded, of the first by its events, zero where threads are timed.
   */
  public double idle() {
    return clock == Clock.CUPTI
        ? busyByGpu().values().stream().mapToDouble(BusyTime::idle).max().orElse(1)
        : kernelMs.getOrDefault(KernelProfiler.IDLE, 0.0) / capacityMs();
  }
}
