package troupe.coordinator.doctor;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import troupe.core.tensor.probe.CpuProbe;

/** Cores, vectors, BLAS, and how fast they are. */
final class CpuExam {
  private static final int NARROW_SIMD_BITS = 128;

  private CpuExam() {}

  static Section run() {
    List<Fact> facts = new ArrayList<>();
    List<String> advice = new ArrayList<>();
    int cores = Runtime.getRuntime().availableProcessors();
    int simdBits = CpuProbe.simdBits();
    facts.add(Fact.of("model", model()));
    facts.add(Fact.of("cores", cores));
    facts.add(new Fact("simd_bits", simdBits, simdBits + ", " + simdBits / 32 + " floats at once"));
    if (simdBits <= NARROW_SIMD_BITS) {
      advice.add("simd: " + simdBits + " bits (expected: 256 or more); fused kernels will be slow");
    }
    try {
      CpuProbe.Blas blas = CpuProbe.blas();
      facts.add(Fact.of("blas", blas.version()));
      facts.add(Fact.of("blas_core", blas.core()));
      facts.add(rate("matmul_gflops", CpuProbe.matmulGflops(cores), "GFLOP/s", cores));
    } catch (LinkageError e) {
      facts.add(Fact.of("blas", "none"));
      advice.add("blas: " + e.getMessage() + " (expected: OpenBLAS for Linux on x86-64)");
    }
    facts.add(rate("copy_gb_per_s", CpuProbe.copyGigabytesPerSecond(), "GB/s", 1));
    return new Section("cpu", facts, advice);
  }

  private static Fact rate(String name, double rate, String unit, int threads) {
    double rounded = Math.round(rate * 10) / 10.0;
    String suffix = threads == 1 ? " thread)" : " threads)";
    return new Fact(
        name,
        rounded,
        String.format(Locale.ROOT, "%.1f %s (measured, %d%s", rounded, unit, threads, suffix));
  }

  private static String model() {
    try (Stream<String> lines = Files.lines(Path.of("/proc/cpuinfo"))) {
      return lines
          .filter(line -> line.startsWith("model name"))
          .map(line -> line.substring(line.indexOf(':') + 1).strip())
          .findFirst()
          .orElse("unknown");
    } catch (IOException e) {
      return "unknown";
    }
  }
}
