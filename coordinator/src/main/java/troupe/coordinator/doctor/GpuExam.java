package troupe.coordinator.doctor;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import troupe.core.tensor.cuda.CudaDevices;
import troupe.core.tensor.probe.CudaProbe;

/** NVIDIA's GPUs, what comes with them and what a run would use of it. */
final class GpuExam {
  /** CUDA 12: what Troupe calls is in its drivers. */
  private static final int LEAST_CUDA = 12;

  private static final int NEWEST_CUDA = 13;
  private static final String DEFAULT_DEVICE = "cpu";

  private GpuExam() {}

  /**
   * Looks for GPUs. Where there is none, nothing of NVIDIA's is loaded or started.
   *
   * @param folders where to look for NVIDIA's libraries first; may be empty
   */
  static Section run(String folders) {
    return CudaDevices.mayBePresent() ? examine(new GpuSearch(folders).run()) : none();
  }

  /** The section of a machine without a GPU, which is fine. */
  static Section none() {
    return new Section("gpu", List.of(Fact.of("count", 0), device(List.of())), List.of());
  }

  /** The section for what was found. */
  static Section examine(GpuFindings found) {
    List<Fact> facts = new ArrayList<>();
    facts.add(Fact.of("count", found.gpus().size()));
    facts.add(Fact.of("driver", found.driver().orElse("unknown")));
    facts.add(cudaOf(found));
    facts.add(library("nvrtc", found.compiler()));
    facts.add(library("cublas", found.products()));
    found.gpus().forEach(gpu -> facts.addAll(gpu(gpu)));
    found.links().forEach(link -> facts.add(link(link)));
    facts.add(device(found.gpus()));
    return new Section("gpu", facts, advice(found));
  }

  private static Fact cudaOf(GpuFindings found) {
    if (found.cudaVersion().isEmpty()) {
      return Fact.of("cuda", "none");
    }
    String version = cuda(found.cudaVersion().getAsInt());
    return new Fact("cuda", version, version + " (the newest that the driver serves)");
  }

  private static String cuda(int version) {
    return version / 1000 + "." + version % 1000 / 10;
  }

  private static Fact library(String name, Optional<CudaProbe.Library> library) {
    return library
        .map(
            is ->
                new Fact(
                    name,
                    values("version", is.version(), "file", is.file()),
                    is.version() + " (" + is.file() + ")"))
        .orElse(Fact.of(name, "none"));
  }

  private static List<Fact> gpu(GpuFindings.Gpu gpu) {
    CudaProbe.Gpu is = gpu.facts();
    String name = "gpu_" + is.index();
    List<Fact> facts = new ArrayList<>();
    Map<String, Object> values =
        values(
            "name", is.name(),
            "compute_capability", is.capability() / 10.0,
            "multiprocessors", is.multiprocessors(),
            "total_bytes", is.totalBytes());
    String free = "unknown";
    if (gpu.freeBytes().isPresent()) {
      values.put("free_bytes", gpu.freeBytes().getAsLong());
      free = Sizes.readable(gpu.freeBytes().getAsLong());
    }
    facts.add(
        new Fact(
            name,
            values,
            String.format(
                Locale.ROOT,
                "%s, compute capability %.1f, %d multiprocessors, %s, %s free",
                is.name(),
                is.capability() / 10.0,
                is.multiprocessors(),
                Sizes.readable(is.totalBytes()),
                free)));
    gpu.sharesMemory()
        .ifPresent(
            shares ->
                facts.add(
                    new Fact(
                        name + "_pick_up",
                        shares,
                        shares
                            ? "processes of this machine can open its memory"
                            : "no: rows for other processes go through memory of the host")));
    gpu.rates().ifPresent(rates -> facts.add(rates(name, rates)));
    gpu.kernels().ifPresent(kernels -> facts.add(kernels(name, kernels)));
    return facts;
  }

  private static Fact rates(String name, CudaProbe.Rates rates) {
    return new Fact(
        name + "_copy_gb_per_s",
        values(
            "within", rounded(rates.within()),
            "from_host", rounded(rates.fromHost()),
            "to_host", rounded(rates.toHost())),
        String.format(
            Locale.ROOT,
            "%.1f GB/s within (read + written), %.1f from the host, %.1f to it (measured, pinned)",
            rates.within(),
            rates.fromHost(),
            rates.toHost()));
  }

  private static Fact kernels(String name, GpuFindings.Kernels kernels) {
    String key = name + "_kernels";
    return kernels
        .wrong()
        .map(wrong -> new Fact(key, values("wrong", wrong), "WRONG, see advice"))
        .orElseGet(
            () ->
                new Fact(
                    key,
                    values("cases", kernels.cases(), "ms", kernels.millis()),
                    kernels.cases()
                        + " cases agree with the reference ("
                        + kernels.millis()
                        + " ms)"));
  }

  private static Fact link(GpuFindings.Link link) {
    Map<String, Object> values = values("peer_access", link.peers());
    String text = link.peers() ? "peer access" : "no peer access, through the host";
    if (link.gigabytesPerSecond().isPresent()) {
      double rate = link.gigabytesPerSecond().getAsDouble();
      values.put("copy_gb_per_s", rounded(rate));
      text += String.format(Locale.ROOT, ", %.1f GB/s (measured)", rate);
    }
    return new Fact("gpu_" + link.from() + "_to_gpu_" + link.to(), values, text);
  }

  private static Fact device(List<GpuFindings.Gpu> gpus) {
    String text = "device = " + DEFAULT_DEVICE + " (the default)";
    List<Integer> usable =
        gpus.stream().filter(GpuFindings.Gpu::isUsable).map(gpu -> gpu.facts().index()).toList();
    if (!usable.isEmpty()) {
      text +=
          usable.size() == gpus.size()
              ? "; cuda and auto take " + (usable.size() == 1 ? "GPU 0" : "all GPUs")
              : "; cuda:" + usable.getFirst() + " works";
    }
    return new Fact("device", DEFAULT_DEVICE, text);
  }

  private static List<String> advice(GpuFindings found) {
    List<String> advice = new ArrayList<>(found.problems());
    found.cudaVersion().ifPresent(version -> advice.addAll(versions(version, found)));
    for (GpuFindings.Gpu gpu : found.gpus()) {
      CudaProbe.Gpu is = gpu.facts();
      if (is.capability() < CudaDevices.LEAST_CAPABILITY) {
        advice.add(
            String.format(
                Locale.ROOT,
                "gpu %d: %s has compute capability %.1f (expected: >= %.1f, for bf16);"
                    + " device=nd4j with -Pnd4j-cuda serves GPUs from 3.7 to 8.6",
                is.index(),
                is.name(),
                is.capability() / 10.0,
                CudaDevices.LEAST_CAPABILITY / 10.0));
      }
      gpu.kernels()
          .flatMap(GpuFindings.Kernels::wrong)
          .ifPresent(
              wrong ->
                  advice.add(
                      wrong
                          + "; a run refuses this GPU: please report it with all that is printed"
                          + " here; device=cpu trains"));
    }
    return advice;
  }

  /** What of driver and libraries does not go together: libraries need a driver of their major. */
  private static List<String> versions(int cudaVersion, GpuFindings found) {
    int driver = cudaVersion / 1000;
    if (driver < LEAST_CUDA) {
      return List.of(
          "driver: CUDA "
              + cuda(cudaVersion)
              + " (expected: 12 or 13); an NVIDIA driver of 525 or later");
    }
    List<String> advice = new ArrayList<>();
    newer("nvrtc", found.compiler(), "nvidia-cuda-nvrtc-cu12", cudaVersion).ifPresent(advice::add);
    newer("cublas", found.products(), "nvidia-cublas-cu12", cudaVersion).ifPresent(advice::add);
    return advice;
  }

  private static Optional<String> newer(
      String name, Optional<CudaProbe.Library> library, String ofCuda12, int cudaVersion) {
    return library
        .filter(is -> major(is.version()) > cudaVersion / 1000)
        .map(
            is ->
                name
                    + ": "
                    + is.version()
                    + " with a driver of CUDA "
                    + cuda(cudaVersion)
                    + " (expected: both of one CUDA); an NVIDIA driver of 580 or later for CUDA "
                    + NEWEST_CUDA
                    + ", or pip install "
                    + ofCuda12
                    + " in place of "
                    + is.file());
  }

  private static int major(String version) {
    return Integer.parseInt(version.substring(0, version.indexOf('.')));
  }

  private static double rounded(double rate) {
    return Math.round(rate * 10) / 10.0;
  }

  /** An object of JSON, its keys and values in turn. */
  private static Map<String, Object> values(Object... keysAndValues) {
    Map<String, Object> values = new LinkedHashMap<>();
    for (int i = 0; i < keysAndValues.length; i += 2) {
      values.put((String) keysAndValues[i], keysAndValues[i + 1]);
    }
    return values;
  }
}
