package troupe.core.tensor;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import troupe.core.tensor.check.KernelCase;
import troupe.core.tensor.check.KernelCases;
import troupe.core.tensor.check.KernelCheck;
import troupe.core.tensor.cuda.CudaDevices;

/** Every kernel of every device against the reference. */
class KernelsTest {
  private static final int THREADS = 4;

  private static Device reference;

  @BeforeAll
  static void openReference() {
    reference = Devices.open("reference");
  }

  @AfterAll
  static void closeReference() {
    reference.close();
  }

  @TestFactory
  Stream<DynamicTest> shouldMatchReferenceOnCpu() {
    Device device = Devices.open("cpu");
    return matching(device).onClose(device::close);
  }

  @TestFactory
  Stream<DynamicTest> shouldMatchReferenceOnNd4j() {
    Device device = Devices.open("nd4j");
    return matching(device).onClose(device::close);
  }

  @Tag("gpu")
  @TestFactory
  Stream<DynamicTest> shouldMatchReferenceOnCuda() {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    Device device = Devices.open("cuda:0");
    return matching(device).onClose(device::close);
  }

  @Tag("gpu")
  @Test
  void shouldGiveTheSameBitsOnCudaWhenCalledFromManyThreads() throws Exception {
    assumeTrue(CudaDevices.mayBePresent(), "no NVIDIA GPU here");
    shouldGiveTheSameBitsWhenCalledFromManyThreads("cuda:0");
  }

  @ParameterizedTest
  @ValueSource(strings = {"cpu", "nd4j"})
  void shouldGiveTheSameBitsWhenCalledFromManyThreads(String name) throws Exception {
    List<KernelCase> cases = KernelCases.all();
    try (Device device = Devices.open(name);
        ExecutorService threads = Executors.newFixedThreadPool(THREADS)) {
      List<List<double[]>> alone = results(device, cases);
      List<Future<List<List<double[]>>>> together = new ArrayList<>();
      for (int i = 0; i < THREADS; i++) {
        together.add(threads.submit(() -> results(device, cases)));
      }
      for (Future<List<List<double[]>>> future : together) {
        List<List<double[]>> found = future.get();
        for (int c = 0; c < cases.size(); c++) {
          for (int i = 0; i < alone.get(c).size(); i++) {
            assertArrayEquals(alone.get(c).get(i), found.get(c).get(i), cases.get(c).name());
          }
        }
      }
      assertEquals(0, device.allocatedBytes());
    }
  }

  private static List<List<double[]>> results(Device device, List<KernelCase> cases) {
    return cases.stream()
        .map(
            kernelCase -> kernelCase.runOn(device).stream().map(KernelCase.Result::values).toList())
        .toList();
  }

  private static Stream<DynamicTest> matching(Device device) {
    return KernelCases.all().stream()
        .map(
            kernelCase ->
                DynamicTest.dynamicTest(
                    kernelCase.name(), () -> KernelCheck.check(kernelCase, reference, device)));
  }
}
