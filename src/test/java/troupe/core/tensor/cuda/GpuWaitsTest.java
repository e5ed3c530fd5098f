package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import troupe.core.UserException;
import troupe.core.tensor.DeviceException;
import troupe.core.tensor.Tensor;
import troupe.core.tensor.cuda.driver.CudaLibraries;
import troupe.core.tensor.cuda.driver.Driver;
import troupe.core.tensor.cuda.driver.Waits;

/** What {@link CudaDeviceTest} has a fake for, with the first GPU of this machine. */
@Tag("gpu")
class GpuWaitsTest {
  private static final Duration PATIENCE = Duration.ofMillis(200);

  /** Longer than {@link #PATIENCE} on any GPU, and yet it ends. */
  private static final long CYCLES = 4_000_000_000L;

  private static final String SPIN =
      """
      extern "C" __global__ void spin(long long cycles) {
        long long begin = clock64();
        while (clock64() - begin < cycles) {}
      }
      """;

  private Driver driver;
  private CudaDevice device;

  @BeforeEach
  void open() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    CudaLibraries libraries = new CudaLibraries("");
    driver = libraries.driver();
    device =
        new CudaDevice(
            driver,
            0,
            PATIENCE,
            capability -> kernels(libraries, capability),
            libraries::matrixProducts);
  }

  private static List<byte[]> kernels(CudaLibraries libraries, int capability) {
    List<byte[]> all = new ArrayList<>(KernelSources.compile(libraries.compiler(), capability));
    all.add(
        libraries
            .compiler()
            .compile("spin.cu", SPIN, List.of("--gpu-architecture=sm_" + capability))
            .code());
    return all;
  }

  @AfterEach
  void close() {
    if (device != null) {
      device.close();
    }
  }

  @Test
  void shouldGiveUpOnAKernelThatDoesNotEndInTime() {
    try (Tensor tensor = device.zeros(1, 1)) {
      device.launcher().launch("spin", Grid.line(1, 1), CYCLES);
      DeviceException e = assertThrows(DeviceException.class, tensor::toDoubles);
      assertTrue(e.isLost());
      assertTrue(e.line().endsWith("the last kernels queued were spin"), e.line());
      // It ends after all, or the next test would meet it.
      new Waits(driver, Duration.ofMinutes(1)).forStream(device.gpu().stream());
      assertEquals(0, tensor.item());
    }
  }

  @Test
  void shouldGiveMemoryInPiecesBackToHaveItInOne() {
    int columns = 1 << 20;
    int rows = (int) (driver.freeMemory() / Float.BYTES / columns * 4 / 10);
    try (Tensor one = device.allocate(rows, columns);
        Tensor other = device.allocate(rows, columns)) {
      assertEquals(2L * rows * columns * Float.BYTES, device.allocatedBytes());
      UserException e = assertThrows(UserException.class, () -> device.allocate(rows, columns));
      assertTrue(e.getMessage().contains("out of memory: "), e.getMessage());
      assertTrue(one.size() == other.size());
    }
    device.allocate(rows / 4 * 7, columns).close();
  }
}
