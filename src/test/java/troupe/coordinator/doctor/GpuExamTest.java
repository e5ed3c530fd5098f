package troupe.coordinator.doctor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import troupe.core.UserException;
import troupe.core.tensor.cuda.CudaDevices;
import troupe.core.tensor.cuda.driver.CudaException;
import troupe.core.tensor.probe.CudaProbe;

class GpuExamTest {
  private static final long GIB = 1L << 30;

  private static final Optional<CudaProbe.Library> NVRTC =
      Optional.of(new CudaProbe.Library("13.0", "/cuda/lib64/libnvrtc.so.13"));

  private static final Optional<CudaProbe.Library> CUBLAS =
      Optional.of(new CudaProbe.Library("13.1.0", "libcublasLt.so.13"));

  private static final Optional<GpuFindings.Kernels> RIGHT =
      Optional.of(new GpuFindings.Kernels(214, 812, Optional.empty()));

  private static GpuFindings.Gpu gpu(
      int index, int capability, Optional<GpuFindings.Kernels> kernels) {
    return new GpuFindings.Gpu(
        new CudaProbe.Gpu(index, "NVIDIA H200", capability, 132, 140 * GIB),
        OptionalLong.of(139 * GIB),
        Optional.of(index == 0),
        Optional.of(new CudaProbe.Rates(3911.04, 55.25, 54.71)),
        kernels);
  }

  private static GpuFindings found(
      int cudaVersion,
      Optional<CudaProbe.Library> compiler,
      List<GpuFindings.Gpu> gpus,
      List<GpuFindings.Link> links,
      List<String> problems) {
    return new GpuFindings(
        Optional.of("580.82.07"),
        OptionalInt.of(cudaVersion),
        compiler,
        CUBLAS,
        gpus,
        links,
        problems);
  }

  private static GpuFindings twoGpus() {
    return found(
        13_000,
        NVRTC,
        List.of(gpu(0, 90, RIGHT), gpu(1, 90, RIGHT)),
        List.of(new GpuFindings.Link(0, 1, true, OptionalDouble.of(370.06))),
        List.of());
  }

  private static GpuFindings one(GpuFindings.Gpu gpu) {
    return found(13_000, NVRTC, List.of(gpu), List.of(), List.of());
  }

  private static String text(GpuFindings found) {
    return new Diagnosis(List.of(GpuExam.examine(found))).text();
  }

  private static JsonObject json(GpuFindings found) {
    return JsonParser.parseString(new Diagnosis(List.of(GpuExam.examine(found))).json())
        .getAsJsonObject()
        .getAsJsonObject("gpu");
  }

  private static String onlyAdvice(GpuFindings found) {
    List<String> advice = GpuExam.examine(found).advice();
    assertEquals(1, advice.size(), advice.toString());
    return advice.getFirst();
  }

  @Test
  void shouldTellEverythingInLines() {
    String gpu =
        """
          gpu 0                 NVIDIA H200, compute capability 9.0, 132 multiprocessors, 140.0 GiB, 139.0 GiB free
          gpu 0 pick up         processes of this machine can open its memory
          gpu 0 copy            3911.0 GB/s within (read + written), 55.3 from the host, 54.7 to it (measured, pinned)
          gpu 0 kernels         214 cases agree with the reference (812 ms)
        """;
    assertEquals(
        """
        gpu
          count                 2
          driver                580.82.07
          cuda                  13.0 (the newest that the driver serves)
          nvrtc                 13.0 (/cuda/lib64/libnvrtc.so.13)
          cublas                13.1.0 (libcublasLt.so.13)
        """
            + gpu
            + gpu.replace("gpu 0", "gpu 1")
                .replace(
                    "processes of this machine can open its memory",
                    "no: rows for other processes go through memory of the host")
            + """
              gpu 0 to gpu 1        peer access, 370.1 GB/s (measured)
              device                device = cpu (the default); cuda and auto take all GPUs
            nothing is missing
            """,
        text(twoGpus()));
  }

  @Test
  void shouldKeepNumbersAsNumbersInJson() {
    JsonObject gpu = json(twoGpus());
    assertEquals(2, gpu.get("count").getAsInt());
    assertEquals("13.0", gpu.get("cuda").getAsString());
    assertEquals("libcublasLt.so.13", gpu.getAsJsonObject("cublas").get("file").getAsString());
    assertEquals(9.0, gpu.getAsJsonObject("gpu_1").get("compute_capability").getAsDouble());
    assertEquals(139 * GIB, gpu.getAsJsonObject("gpu_1").get("free_bytes").getAsLong());
    assertTrue(gpu.get("gpu_0_pick_up").getAsBoolean());
    assertEquals(3911.0, gpu.getAsJsonObject("gpu_0_copy_gb_per_s").get("within").getAsDouble());
    assertEquals(214, gpu.getAsJsonObject("gpu_0_kernels").get("cases").getAsInt());
    assertTrue(gpu.getAsJsonObject("gpu_0_to_gpu_1").get("peer_access").getAsBoolean());
    assertEquals("cpu", gpu.get("device").getAsString());
  }

  @Test
  void shouldHaveNothingToSayWhereThereIsNoGpu() {
    Section section = GpuExam.none();
    assertEquals(List.of("count", "device"), section.facts().stream().map(Fact::name).toList());
    assertEquals(0, section.facts().getFirst().value());
    assertEquals(List.of(), section.advice());
  }

  @Test
  void shouldLoadNothingWhereThereIsNoGpu() throws IOException {
    assumeFalse(CudaDevices.mayBePresent(), "an NVIDIA GPU here");
    assertEquals(GpuExam.none(), GpuExam.run(""));
    try (Stream<String> mapped = Files.lines(Path.of("/proc/self/maps"))) {
      assertFalse(mapped.anyMatch(line -> line.matches(".*/lib(cuda|nvrtc|cublasLt)\\.so.*")));
    }
  }

  @Test
  void shouldSayWhatIsMissingAndHowToGetIt() {
    String problem =
        GpuSearch.problem(
            "nvrtc",
            "",
            new UserException(
                "device cuda: libnvrtc.so not found (expected: version 13 or 12)",
                "pip install nvidia-cuda-nvrtc"));
    GpuFindings found =
        found(
            13_000,
            Optional.empty(),
            List.of(gpu(0, 90, Optional.empty())),
            List.of(),
            List.of(problem));
    assertEquals(
        "device cuda: libnvrtc.so not found (expected: version 13 or 12);"
            + " pip install nvidia-cuda-nvrtc",
        onlyAdvice(found));
    assertTrue(text(found).contains("  nvrtc                 none\n"), text(found));
    assertTrue(text(found).contains("device = cpu (the default)\n"), text(found));
  }

  @Test
  void shouldTellADriverThatDoesNotWork() {
    GpuFindings found =
        new GpuFindings(
            Optional.empty(),
            OptionalInt.empty(),
            NVRTC,
            CUBLAS,
            List.of(),
            List.of(),
            List.of("driver: cuInit: CUDA_ERROR_NO_DEVICE (expected: a GPU that it can use)"));
    assertTrue(text(found).contains("  driver                unknown\n"), text(found));
    assertTrue(text(found).contains("  cuda                  none\n"), text(found));
    assertTrue(onlyAdvice(found).startsWith("driver: cuInit"), text(found));
  }

  @Test
  void shouldMakeOneLineOfAFailure() {
    assertEquals(
        "gpu 0: kernels: a.cu does not compile with [-x]: a.cu(1): error (expected: compiled)",
        GpuSearch.problem(
            "gpu 0: kernels",
            "(expected: compiled)",
            new CudaException(
                "a.cu does not compile with [-x]:\na.cu(1): error\na.cu(2): error", 6)));
    assertEquals(
        "gpu 0: out of memory; a smaller train.batch",
        GpuSearch.problem(
            "gpu 0", "", new CudaException("out of memory\nHINT: a smaller train.batch", 2)));
    assertEquals(
        "driver: java.lang.UnsatisfiedLinkError",
        GpuSearch.problem("driver", "", new UnsatisfiedLinkError()));
  }

  @Test
  void shouldNameTheKernelThatIsWrong() {
    String wrong =
        "kernel softmax 3 x 7 on cuda:0: result 0 is off by 0.5 of its norm (expected: <= 1e-02)";
    GpuFindings found =
        one(gpu(0, 90, Optional.of(new GpuFindings.Kernels(0, 0, Optional.of(wrong)))));
    assertTrue(onlyAdvice(found).startsWith(wrong + "; a run refuses this GPU"), text(found));
    assertTrue(text(found).contains("  gpu 0 kernels         WRONG, see advice\n"), text(found));
    assertTrue(text(found).contains("device = cpu (the default)\n"), text(found));
    assertEquals(wrong, json(found).getAsJsonObject("gpu_0_kernels").get("wrong").getAsString());
  }

  @Test
  void shouldAdviseNd4jForGpusThatAreTooOld() {
    String advice = onlyAdvice(one(gpu(0, 70, Optional.empty())));
    assertTrue(advice.contains("compute capability 7.0 (expected: >= 8.0"), advice);
    assertTrue(advice.contains("device=nd4j with -Pnd4j-cuda"), advice);
  }

  @Test
  void shouldNameAGpuThatWorksWhenOthersDoNot() {
    GpuFindings found =
        found(
            13_000,
            NVRTC,
            List.of(gpu(0, 70, Optional.empty()), gpu(1, 90, RIGHT)),
            List.of(),
            List.of());
    assertTrue(text(found).contains("cuda:1 works"), text(found));
  }

  @Test
  void shouldTellLibrariesThatAreNewerThanTheDriver() {
    List<String> advice =
        GpuExam.examine(found(12_040, NVRTC, List.of(gpu(0, 90, RIGHT)), List.of(), List.of()))
            .advice();
    assertEquals(2, advice.size(), advice.toString());
    assertTrue(advice.getFirst().startsWith("nvrtc: 13.0 with a driver of CUDA 12.4 (expected: "));
    assertTrue(advice.getLast().contains("nvidia-cublas-cu12 in place of libcublasLt.so.13"));
  }

  @Test
  void shouldAskForANewerDriverWhenItIsOfCuda11() {
    String advice =
        onlyAdvice(found(11_040, NVRTC, List.of(gpu(0, 80, RIGHT)), List.of(), List.of()));
    assertTrue(advice.startsWith("driver: CUDA 11.4 (expected: 12 or 13)"), advice);
  }
}
