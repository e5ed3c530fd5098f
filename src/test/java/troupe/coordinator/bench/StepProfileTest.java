package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.KernelProfiler;
import troupe.core.tensor.cuda.GpuRecording;
import troupe.core.tensor.cuda.driver.GpuActivity;

class StepProfileTest {
  @Test
  void shouldCountIdleTimeAsOutsideOfKernels() {
    StepProfile profile =
        StepProfile.of(
            StepProfile.Clock.EVENTS,
            1,
            Map.of("b", 4_000_000L, "a", 10_000_000L, KernelProfiler.IDLE, 4_000_000L),
            2,
            10);
    assertEquals(0.3, profile.outsideKernels(), 1e-12);
    assertEquals(0.2, profile.idle(), 1e-12);
    assertEquals(10, profile.capacityMs());
    assertEquals("a", profile.kernelMs().keySet().iterator().next());
  }

  @Test
  void shouldPutKernelsOfOneNameTogether() {
    StepProfile profile =
        StepProfile.of(
            new GpuRecording(
                List.of(
                    kernel("gemm<1>", 1, 0, 3_000_000),
                    kernel("gemm<2>", 1, 1_000_000, 6_000_000),
                    kernel("gate", 0, 0, 8_000_000)),
                0,
                10_000_000,
                0),
            1,
            10);
    assertEquals(Map.of("gemm", 8.0, "gate", 8.0), profile.kernelMs());
    assertEquals(20, profile.capacityMs());
    assertEquals(0.4, profile.idle(), 1e-12, "of the GPU that waits most");
    assertEquals(0.3, profile.outsideKernels(), 1e-12, "of both");
  }

  private static GpuActivity kernel(String name, int gpu, long startNs, long endNs) {
    return new GpuActivity(GpuActivity.Kind.KERNEL, name, gpu, 7, startNs, endNs, 0);
  }
}
