package troupe.coordinator.doctor;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.OptionalInt;
import java.util.OptionalLong;
import troupe.core.tensor.probe.CudaProbe;

/**
 * What was found out about NVIDIA's GPUs and libraries. What could not be is empty, and one of the
 * problems says why.
 *
 * @param driver NVIDIA's own version of its driver, such as {@code 580.82.07}
 * @param cudaVersion the newest CUDA version that the driver serves, 13000 for 13.0
 * @param compiler the library that compiles kernels
 * @param products the library of matrix products
 * @param gpus in the driver's order
 * @param links between every two of them
 * @param problems one line each: what was found, what was expected, and what to do
 */
record GpuFindings(
    Optional<String> driver,
    OptionalInt cudaVersion,
    Optional<CudaProbe.Library> compiler,
    Optional<CudaProbe.Library> products,
    List<Gpu> gpus,
    List<Link> links,
    List<String> problems) {
  GpuFindings {
    gpus = List.copyOf(gpus);
    links = List.copyOf(links);
    problems = List.copyOf(problems);
  }

  /**
   * One GPU.
   *
   * @param freeBytes of its memory, before anything was measured
   * @param sharesMemory whether other processes can open its memory by name
   * @param kernels empty if they were not checked
   */
  record Gpu(
      CudaProbe.Gpu facts,
      OptionalLong freeBytes,
      Optional<Boolean> sharesMemory,
      Optional<CudaProbe.Rates> rates,
      Optional<Kernels> kernels) {
    /** Whether a run could use it. */
    boolean isUsable() {
      return kernels.isPresent() && kernels.get().wrong().isEmpty();
    }
  }

  /**
   * What the comparison of a GPU's kernels with the reference said.
   *
   * @param wrong the first kernel that is wrong and by how much; empty if all are right
   */
  record Kernels(int cases, long millis, Optional<String> wrong) {}

  /**
   * Between two GPUs, by index.
   *
   * @param peers whether each can use the memory of the other
   * @param gigabytesPerSecond of copies from the first to the second
   */
  record Link(int from, int to, boolean peers, OptionalDouble gigabytesPerSecond) {}
}
