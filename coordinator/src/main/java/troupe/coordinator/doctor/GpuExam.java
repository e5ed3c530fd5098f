package troupe.coordinator.doctor;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** NVIDIA's GPUs as its own tool sees them, and the device that a run would use. */
final class GpuExam {
  private static final int TIMEOUT_SECONDS = 5;
  private static final String DEFAULT_DEVICE = "cpu";

  /** The newest compute capability that ND4J's CUDA binary has machine code for. */
  private static final double ND4J_NEWEST_CAPABILITY = 8.6;

  private GpuExam() {}

  static Section run() {
    return examine(query());
  }

  /** The section for these lines of {@code name, memory, driver, compute capability}. */
  static Section examine(List<String> gpus) {
    List<Fact> facts = new ArrayList<>();
    List<String> advice = new ArrayList<>();
    facts.add(Fact.of("count", gpus.size()));
    for (int i = 0; i < gpus.size(); i++) {
      facts.add(Fact.of("gpu_" + i, gpus.get(i)));
    }
    facts.add(new Fact("device", DEFAULT_DEVICE, "device = " + DEFAULT_DEVICE + " (the default)"));
    if (gpus.stream().anyMatch(GpuExam::isWithinReach)) {
      advice.add("gpu: idle with device = cpu; build with -Pnd4j-cuda and set device = nd4j");
    } else if (!gpus.isEmpty()) {
      advice.add(
          "gpu: idle; ND4J's CUDA binary ends at compute capability " + ND4J_NEWEST_CAPABILITY);
    }
    return new Section("gpu", facts, advice);
  }

  private static boolean isWithinReach(String gpu) {
    try {
      return Double.parseDouble(gpu.substring(gpu.lastIndexOf(',') + 1).strip())
          <= ND4J_NEWEST_CAPABILITY;
    } catch (NumberFormatException e) {
      return false;
    }
  }

  private static List<String> query() {
    Process process = null;
    try {
      process =
          new ProcessBuilder(
                  "nvidia-smi",
                  "--query-gpu=name,memory.total,driver_version,compute_cap",
                  "--format=csv,noheader")
              .redirectErrorStream(true)
              .start();
      if (!process.waitFor(TIMEOUT_SECONDS, TimeUnit.SECONDS) || process.exitValue() != 0) {
        return List.of();
      }
      return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)
          .lines()
          .filter(line -> !line.isBlank())
          .toList();
    } catch (IOException e) {
      return List.of();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return List.of();
    } finally {
      if (process != null) {
        process.destroyForcibly();
      }
    }
  }
}
