package troupe.coordinator.doctor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import troupe.coordinator.run.DeviceCheck;
import troupe.core.UserException;
import troupe.core.tensor.check.KernelCheck;
import troupe.core.tensor.cuda.CudaDevices;
import troupe.core.tensor.cuda.driver.CudaLibraries;
import troupe.core.tensor.probe.CudaProbe;

/**
 * Asks NVIDIA's driver and libraries, one question at a time: what fails ends no other question.
 */
final class GpuSearch {
  private static final int SMI_TIMEOUT_SECONDS = 5;
  private static final String SMI = "nvidia-smi lists who uses the GPU";

  private final String folders;

  /** A set: several GPUs miss the same library. */
  private final Set<String> problems = new LinkedHashSet<>();

  /** Begun with the first GPU that is checked. */
  private DeviceCheck check;

  /**
   * A search.
   *
   * @param folders where to look for NVIDIA's libraries first; may be empty
   */
  GpuSearch(String folders) {
    this.folders = folders;
  }

  /** Loads what there is, and measures. */
  GpuFindings run() {
    Optional<CudaProbe.Library> compiler =
        attempt(
            "nvrtc",
            "(expected: a whole libnvrtc); " + CudaLibraries.Library.NVRTC.howToGet(),
            () -> CudaProbe.compiler(folders));
    Optional<CudaProbe.Library> products =
        attempt(
            "cublas",
            "(expected: a whole libcublasLt); " + CudaLibraries.Library.CUBLAS_LT.howToGet(),
            () -> CudaProbe.matrixProducts(folders));
    OptionalInt cudaVersion = OptionalInt.empty();
    List<GpuFindings.Gpu> gpus = List.of();
    List<GpuFindings.Link> links = List.of();
    Optional<CudaProbe> opened =
        attempt(
            "driver",
            "(expected: a GPU that it can use); " + CudaLibraries.Library.DRIVER.howToGet(),
            () -> new CudaProbe(folders));
    if (opened.isPresent()) {
      try (CudaProbe probe = opened.get()) {
        Optional<Integer> version = attempt("driver", "", probe::cudaVersion);
        cudaVersion = version.map(OptionalInt::of).orElse(OptionalInt.empty());
        List<CudaProbe.Gpu> facts = attempt("driver", "", probe::gpus).orElse(List.of());
        links = links(probe, facts);
        boolean canCheck = compiler.isPresent() && products.isPresent();
        gpus = facts.stream().map(gpu -> examine(probe, gpu, canCheck)).toList();
      }
    }
    return new GpuFindings(
        smiDriver(), cudaVersion, compiler, products, gpus, links, List.copyOf(problems));
  }

  private GpuFindings.Gpu examine(CudaProbe probe, CudaProbe.Gpu gpu, boolean canCheck) {
    int index = gpu.index();
    Optional<Long> free =
        attempt(
            "gpu " + index, "(expected: its free memory); " + SMI, () -> probe.freeBytes(index));
    Optional<CudaProbe.Rates> rates =
        free.isEmpty()
            ? Optional.empty()
            : attempt(
                "gpu " + index + ": bandwidth",
                String.format(
                    Locale.ROOT,
                    "(expected: %s free there and %s pinned here); %s",
                    Sizes.readable(2 * CudaProbe.COPY_BYTES),
                    Sizes.readable(CudaProbe.COPY_BYTES),
                    SMI),
                () -> probe.rates(index));
    Optional<Boolean> shares =
        free.isEmpty()
            ? Optional.empty()
            : attempt("gpu " + index, "(expected: 2 MiB); " + SMI, () -> probe.sharesMemory(index));
    // Last: a kernel that crashes takes everything of its GPU in this process with it.
    Optional<GpuFindings.Kernels> kernels =
        canCheck && gpu.capability() >= CudaDevices.LEAST_CAPABILITY
            ? attempt(
                "gpu " + index + ": kernels",
                "(expected: compiled and compared with the reference)",
                () -> kernels(probe, index))
            : Optional.empty();
    return new GpuFindings.Gpu(
        gpu, free.map(OptionalLong::of).orElse(OptionalLong.empty()), shares, rates, kernels);
  }

  private GpuFindings.Kernels kernels(CudaProbe probe, int index) {
    try {
      if (check == null) {
        check = DeviceCheck.begin();
      }
      CudaProbe.Checked checked = probe.checkKernels(index, check::all);
      return new GpuFindings.Kernels(checked.cases(), checked.millis(), Optional.empty());
    } catch (KernelCheck.WrongKernelException e) {
      return new GpuFindings.Kernels(0, 0, Optional.of(e.getMessage()));
    }
  }

  private List<GpuFindings.Link> links(CudaProbe probe, List<CudaProbe.Gpu> gpus) {
    List<GpuFindings.Link> links = new ArrayList<>();
    for (int from = 0; from < gpus.size(); from++) {
      for (int to = from + 1; to < gpus.size(); to++) {
        link(probe, from, to).ifPresent(links::add);
      }
    }
    return links;
  }

  private Optional<GpuFindings.Link> link(CudaProbe probe, int from, int to) {
    String name = "gpu " + from + " to gpu " + to;
    return attempt(name, "", () -> probe.arePeers(from, to))
        .map(
            peers -> {
              Optional<Double> rate =
                  attempt(
                      name,
                      "(expected: "
                          + Sizes.readable(CudaProbe.COPY_BYTES)
                          + " free on each); "
                          + SMI,
                      () -> probe.peerRate(from, to));
              return new GpuFindings.Link(
                  from, to, peers, rate.map(OptionalDouble::of).orElse(OptionalDouble.empty()));
            });
  }

  private <T> Optional<T> attempt(String subject, String remedy, Supplier<T> question) {
    try {
      return Optional.of(question.get());
    } catch (RuntimeException | LinkageError e) {
      problems.add(problem(subject, remedy, e));
      return Optional.empty();
    }
  }

  /** A failure in one line. What was made for users says by itself what to do. */
  static String problem(String subject, String remedy, Throwable failure) {
    if (failure instanceof UserException mistake) {
      return oneLine(mistake.getMessage()) + "; " + mistake.hint();
    }
    String message = failure.getMessage() == null ? failure.toString() : failure.getMessage();
    return (subject + ": " + oneLine(message) + " " + remedy).strip();
  }

  /** Of a compiler's messages the first: the rest follow from it. */
  private static String oneLine(String message) {
    return message
        .lines()
        .limit(2)
        .map(line -> line.replaceFirst("^HINT: ", "").strip())
        .filter(line -> !line.isEmpty())
        .collect(Collectors.joining("; "))
        .replace(":; ", ": ");
  }

  /** The driver's version by NVIDIA's tool, which knows it in the form that downloads have. */
  private static Optional<String> smiDriver() {
    Process process = null;
    try {
      process =
          new ProcessBuilder("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
              .redirectErrorStream(true)
              .start();
      if (!process.waitFor(SMI_TIMEOUT_SECONDS, TimeUnit.SECONDS) || process.exitValue() != 0) {
        return Optional.empty();
      }
      return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .map(String::strip)
          .filter(line -> !line.isEmpty())
          .findFirst();
    } catch (IOException e) {
      return Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return Optional.empty();
    } finally {
      if (process != null) {
        process.destroyForcibly();
      }
    }
  }
}
