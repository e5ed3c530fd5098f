package troupe.coordinator.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.cuda.CudaDevices;
import troupe.core.tensor.probe.CudaProbe;

/** On the GPUs of this machine. */
@Tag("gpu")
class GpuSearchTest {
  private static GpuFindings found;

  @BeforeEach
  void search() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    if (found == null) {
      // Once for all: it opens every GPU.
      found = new GpuSearch("").run();
    }
  }

  @Test
  void shouldFindDriverLibrariesAndGpus() {
    assertTrue(found.problems().isEmpty(), found.toString());
    assertTrue(found.cudaVersion().getAsInt() >= 12_000, found.toString());
    assertTrue(found.compiler().get().version().matches("1[23]\\.\\d+"), found.toString());
    assertTrue(found.products().get().version().matches("1[23]\\.\\d+\\.\\d+"), found.toString());
    assertFalse(found.gpus().isEmpty(), found.toString());
  }

  @Test
  void shouldKnowAndMeasureEveryGpu() {
    for (GpuFindings.Gpu gpu : found.gpus()) {
      CudaProbe.Gpu facts = gpu.facts();
      assertFalse(facts.name().isBlank(), gpu.toString());
      assertTrue(facts.capability() >= 30 && facts.capability() < 200, gpu.toString());
      assertTrue(facts.multiprocessors() > 0, gpu.toString());
      assertTrue(gpu.freeBytes().getAsLong() > 0, gpu.toString());
      assertTrue(gpu.freeBytes().getAsLong() <= facts.totalBytes(), gpu.toString());
      assertTrue(gpu.sharesMemory().isPresent(), gpu.toString());
      CudaProbe.Rates rates = gpu.rates().get();
      // Within any GPU is faster than any link, and no link is as slow as that.
      assertTrue(rates.fromHost() > 0.5 && rates.fromHost() < rates.within(), gpu.toString());
      assertTrue(rates.toHost() > 0.5 && rates.toHost() < rates.within(), gpu.toString());
    }
  }

  @Test
  void shouldMeasureEveryPairOnce() {
    int gpus = found.gpus().size();
    assertEquals(gpus * (gpus - 1) / 2, found.links().size());
    for (GpuFindings.Link link : found.links()) {
      assertTrue(link.gigabytesPerSecond().getAsDouble() > 0.5, link.toString());
    }
  }

  @Test
  void shouldCheckTheKernelsOfEveryGpuThatIsNewEnough() {
    for (GpuFindings.Gpu gpu : found.gpus()) {
      if (gpu.facts().capability() >= CudaDevices.LEAST_CAPABILITY) {
        assertTrue(gpu.isUsable(), gpu.toString());
        assertTrue(gpu.kernels().get().cases() > 100, gpu.toString());
      }
    }
  }
}
