package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.Device;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cpu.CpuDevice;

class DeviceTimerTest {
  private int calls;

  @Test
  void shouldDoWorkAsOftenAsAskedFor() {
    try (Device device = new CpuDevice();
        DeviceTimer timer = new DeviceTimer(device, new Repeats(0, 4))) {
      assertEquals(4, timer.wallMs(() -> calls++).length);
      assertEquals(4, calls);
      assertEquals(4, timer.kernelMs(() -> calls++).length);
      assertEquals(8, calls);
    }
  }

  @Test
  void shouldWarmUpForSomeTimeHoweverShortTheWork() {
    try (Device device = new CpuDevice();
        DeviceTimer timer = new DeviceTimer(device, new Repeats(1, 1))) {
      timer.wallMs(() -> calls++);
      assertTrue(calls > 100, () -> "calls: " + calls);
    }
  }

  @Test
  void shouldRestAndWarmUpAgainBeforeItMeasures() {
    Duration rest = Duration.ofMillis(50);
    try (Device device = new CpuDevice();
        DeviceTimer timer = new DeviceTimer(device, new Repeats(0, rest, 2))) {
      long began = System.nanoTime();
      assertEquals(2, timer.wallMs(() -> calls++).length);
      assertTrue(System.nanoTime() - began >= rest.toNanos());
      assertEquals(5 + 2, calls);
    }
  }

  @Test
  void shouldTakeTheTimesOfTheDeviceWhereItHasAClock() {
    try (ProfiledDevice device = new ProfiledDevice(new CpuDevice());
        DeviceTimer timer = new DeviceTimer(device, new Repeats(0, 2));
        Tensor x = device.zeros(64, 64)) {
      Runnable work = () -> device.kernels().scale(x, 2);
      for (double ms : timer.kernelMs(work)) {
        assertTrue(ms > 0);
      }
      var kernelMs = timer.profileMs(work);
      assertEquals(1, kernelMs.size());
      assertTrue(kernelMs.get("scale") > 0);
      assertEquals(0, kernelMs.getOrDefault(KernelProfiler.IDLE, 0.0));
    }
  }
}
