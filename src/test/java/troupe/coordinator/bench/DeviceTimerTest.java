package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

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
        DeviceTimer timer = new DeviceTimer(device, 0, 4)) {
      assertEquals(4, timer.wallMs(() -> calls++).length);
      assertEquals(4, calls);
      assertEquals(4, timer.kernelMs(() -> calls++).length);
      assertEquals(8, calls);
    }
  }

  @Test
  void shouldWarmUpForSomeTimeHoweverShortTheWork() {
    try (Device device = new CpuDevice();
        DeviceTimer timer = new DeviceTimer(device, 1, 1)) {
      timer.wallMs(() -> calls++);
      assertTrue(calls > 100, () -> "calls: " + calls);
    }
  }

  @Test
  void shouldTakeTheTimesOfTheDeviceWhereItHasAClock() {
    try (ProfiledDevice device = new ProfiledDevice(new CpuDevice());
        DeviceTimer timer = new DeviceTimer(device, 0, 2);
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
