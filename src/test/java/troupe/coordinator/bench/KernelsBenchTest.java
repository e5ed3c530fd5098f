package troupe.coordinator.bench;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.UserException;
import troupe.core.tensor.Device;
import troupe.core.tensor.cpu.CpuDevice;

class KernelsBenchTest {
  private static final int SMALLEST = 4096;

  @Test
  void shouldMeasureTheKernelsOfADeviceThatRoutes() {
    try (RoutingDevice device = new RoutingDevice()) {
      List<String> names = new ArrayList<>();
      try (KernelsBench bench = new KernelsBench(device, SMALLEST, new Repeats(0, 1))) {
        bench.measure(
            KernelsBench.Bound.COPY,
            new KernelsBench.Ceilings(1e9, 1, 1e9),
            kernel -> {
              names.add(kernel.name());
              assertTrue(kernel.ms() > 0, kernel::toString);
              assertEquals(kernel.perSecond() / 1e9, kernel.share(), kernel::toString);
            });
      }
      assertTrue(
          names.containsAll(
              List.of(
                  "route",
                  "gather",
                  "combine",
                  "combineBackward",
                  "logitsGradient",
                  "dispatchBackward")),
          names::toString);
      assertEquals(0, device.allocatedBytes());
    }
  }

  @Test
  void shouldCountTheBytesThatHaveToMove() {
    try (Device device = new CpuDevice()) {
      List<KernelLoad> loads = MemoryBoundLoads.of(device, new ModelSizes(SMALLEST));
      // 8 tokens of 1024 channels of float32.
      assertEquals(8 * 1024 * 4 * 3, amount(loads, "add"));
      assertEquals(8 * 1024 * 4 * 2 + 8 * 4, amount(loads, "gather"));
      assertEquals(8 * 4096 * 4 * 3, amount(loads, "activationBackward GELU"));
      assertEquals(2 * 8192 * 4 * 7, amount(loads, "adamw"));
      assertEquals(
          2.0 * 8 * 1024 * 3072, amount(ProductLoads.of(device, new ModelSizes(SMALLEST)), "qkv"));
    }
  }

  private static double amount(List<KernelLoad> loads, String name) {
    return loads.stream()
        .filter(load -> load.name().equals(name))
        .findFirst()
        .orElseThrow()
        .amount();
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 0, 3, 8192})
  void shouldRefuseScalesThatDoNotDivideTheTokens(int scale) {
    assertThrows(UserException.class, () -> new ModelSizes(scale));
  }
}
