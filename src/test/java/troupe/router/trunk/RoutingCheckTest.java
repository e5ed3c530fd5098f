package troupe.router.trunk;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.cuda.CudaDevices;

final class RoutingCheckTest {
  @Test
  void shouldHaveNothingToCompareWhereTheHostRoutes() {
    try (Device device = Devices.open("cpu")) {
      assertEquals(0, RoutingCheck.begin().all(device));
    }
  }

  @Tag("gpu")
  @Test
  void shouldDecideOnTheGpuAsOnTheHost() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    try (Device device = Devices.open("cuda:0")) {
      assertTrue(RoutingCheck.begin().all(device) > 0);
    }
  }
}
