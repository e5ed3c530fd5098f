package troupe.coordinator.bench;

import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import troupe.core.tensor.Device;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.Tensor;

/**
 * How long a device takes for a piece of work that is asked for again and again, be it done when a
 * call returns or some time later.
 */
final class DeviceTimer implements AutoCloseable {
  /** Until a GPU's clock is up. */
  private static final long LEAST_WARM_UP_NS = 200_000_000;

  /** Until the JIT compiler is done: vectors are a hundred times as slow before. */
  private static final long LEAST_WARM_UP_OF_HOST_NS = 1_000_000_000;

  /** After a rest. */
  private static final int WARM_UP_AFTER_REST = 5;

  private final Device device;
  private final Repeats repeats;
  private final Tensor mark_11;

  /** A timer that does work this often. */
  DeviceTimer(Device device, Repeats repeats) {
    this.device = device;
    this.repeats = repeats;
    this.mark_11 = device.zeros(1, 1);
  }

  /** Returns once the device has done all that it was asked for. */
  void await() {
    device.read(mark_11).values();
  }

  private void warmUp(Runnable work) {
    long least = device.isHostMemory() ? LEAST_WARM_UP_OF_HOST_NS : LEAST_WARM_UP_NS;
    int warmUp = repeats.warmUp();
    long began = System.nanoTime();
    for (int i = 0; warmUp > 0 && (i < warmUp || System.nanoTime() - began < least); i++) {
      work.run();
      await();
    }
    if (repeats.rest().isPositive()) {
      rest();
      for (int i = 0; i < WARM_UP_AFTER_REST; i++) {
        work.run();
        await();
      }
    }
  }

  private void rest() {
    try {
      Thread.sleep(repeats.rest());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted in a rest", e);
    }
  }

  /** Milliseconds by the clock from asking until all is done, each time. */
  double[] wallMs(Runnable work) {
    warmUp(work);
    double[] ms = new double[repeats.measured()];
    for (int i = 0; i < repeats.measured(); i++) {
      long began = System.nanoTime();
      work.run();
      await();
      ms[i] = (System.nanoTime() - began) / 1e6;
    }
    return ms;
  }

  /**
   * Milliseconds that kernels ran, each time: by the clock of the device, without what lies between
   * two kernels; by that of the host where a kernel is done when its call returns.
   */
  double[] kernelMs(Runnable work) {
    KernelProfiler profiler = device.profiler();
    if (profiler == null) {
      return wallMs(work);
    }
    warmUp(work);
    double[] ms = new double[repeats.measured()];
    for (int i = 0; i < repeats.measured(); i++) {
      profiler.begin();
      work.run();
      ms[i] =
          profiler.end().entrySet().stream()
                  .filter(entry -> !entry.getKey().equals(KernelProfiler.IDLE))
                  .mapToLong(Map.Entry::getValue)
                  .sum()
              / 1e6;
    }
    return ms;
  }

  /**
   * Mean milliseconds of one repetition by kernel, the longest first, {@link KernelProfiler#IDLE}
   * included; nothing where the device does not time its kernels.
   */
  Map<String, Double> profileMs(Runnable work) {
    Map<String, Double> kernelMs = new LinkedHashMap<>();
    KernelProfiler profiler = device.profiler();
    if (profiler == null) {
      return kernelMs;
    }
    warmUp(work);
    profiler.begin();
    for (int i = 0; i < repeats.measured(); i++) {
      work.run();
    }
    profiler.end().entrySet().stream()
        .sorted(Map.Entry.comparingByValue(Comparator.reverseOrder()))
        .forEach(
            entry -> kernelMs.put(entry.getKey(), entry.getValue() / 1e6 / repeats.measured()));
    return kernelMs;
  }

  @Override
  public void close() {
    mark_11.close();
  }
}
