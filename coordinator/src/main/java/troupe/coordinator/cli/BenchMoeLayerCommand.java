package troupe.coordinator.cli;

import com.google.gson.Gson;
import java.io.PrintWriter;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.bench.Median;
import troupe.coordinator.bench.MoeLayerBench;
import troupe.core.UserException;
import troupe.core.config.GateConfig;
import troupe.core.tensor.Device;

/** {@code troupe bench moe-layer}: one layer of experts, without actors. */
@Command(
    name = "moe-layer",
    description = {
      "Times one mixture-of-experts layer forward and backward on random numbers, without actors:",
      "router, SparseMixer's gate, dispatch, every expert (GELU, biases), combine, and the gradients",
      "of all of it. Needs a device that routes tokens itself, a GPU.",
      "",
      "Then the same with a forced balanced router, which gives every expert the same number of",
      "rows. Counted are the experts' products: 3 * 2 * 2 * tokens * top-k * d * ff operations."
    },
    footer = {
      "",
      "Examples:",
      "  troupe bench moe-layer",
      "  troupe bench moe-layer --tokens 8192 --d 1024 --ff 4096 --experts 64"
    })
final class BenchMoeLayerCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private BenchDevice bench;

  @Option(
      names = "--tokens",
      defaultValue = "32768",
      paramLabel = "N",
      description = "Tokens that are routed (default: ${DEFAULT-VALUE}).")
  private int tokens;

  @Option(
      names = "--d",
      defaultValue = "2048",
      paramLabel = "N",
      description = "Width of a token (default: ${DEFAULT-VALUE}).")
  private int d;

  @Option(
      names = "--ff",
      defaultValue = "8192",
      paramLabel = "N",
      description = "Width of an expert (default: ${DEFAULT-VALUE}).")
  private int ff;

  @Option(
      names = "--experts",
      defaultValue = "8",
      paramLabel = "N",
      description = "Experts (default: ${DEFAULT-VALUE}).")
  private int experts;

  @Option(
      names = "--top-k",
      defaultValue = "1",
      paramLabel = "N",
      description = "Experts of a token; several by SparseMixer-v2 (default: ${DEFAULT-VALUE}).")
  private int topK;

  @Override
  public Integer call() {
    BenchDevice.atLeast("--tokens", tokens, 1);
    BenchDevice.atLeast("--d", d, 1);
    BenchDevice.atLeast("--ff", ff, 1);
    BenchDevice.atLeast("--experts", experts, 1);
    BenchDevice.atLeast("--top-k", topK, 1);
    int most = Math.min(GateConfig.MAX_ROUNDS, experts);
    if (topK > most) {
      throw new UserException(
          "--top-k: %d (expected: at most %d of %d experts)".formatted(topK, most, experts),
          "--top-k " + most + ", or more --experts");
    }
    MoeLayerBench.Shape shape = new MoeLayerBench.Shape(tokens, d, ff, experts, topK);
    PrintWriter out = spec.commandLine().getOut();
    try (Device device = bench.open()) {
      report(out, MoeLayerBench.run(device, shape, bench.repeats()));
    }
    return ExitCode.DONE;
  }

  /** Prints a table and a line of JSON. */
  static void report(PrintWriter out, MoeLayerBench.Result result) {
    MoeLayerBench.Shape shape = result.shape();
    out.printf(
        "%s, %d tokens, d %d, ff %d, %d experts, top-%d, forward and backward%n%n",
        result.device(), shape.tokens(), shape.d(), shape.ff(), shape.experts(), shape.k());
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("bench", "moe-layer");
    json.put("device", result.device());
    json.put("tokens", shape.tokens());
    json.put("d", shape.d());
    json.put("ff", shape.ff());
    json.put("experts", shape.experts());
    json.put("top_k", shape.k());
    out.println("router            ms (median)   ms (min)   TFLOP/s   busiest expert / mean");
    report(out, json, "real", "", shape, result.real());
    report(out, json, "forced balanced", "balanced_", shape, result.balanced());
    if (!result.kernelMs().isEmpty()) {
      double all = result.kernelMs().values().stream().mapToDouble(Double::doubleValue).sum();
      out.printf("%n%-30s %9s   share, with the real router%n", "kernel", "ms");
      result
          .kernelMs()
          .forEach(
              (kernel, ms) -> out.printf("%-30s %9.3f   %5.1f %%%n", kernel, ms, 100 * ms / all));
      json.put("kernel_ms", result.kernelMs());
    }
    out.println();
    out.println(new Gson().toJson(json));
  }

  private static void report(
      PrintWriter out,
      Map<String, Object> json,
      String router,
      String key,
      MoeLayerBench.Shape shape,
      MoeLayerBench.Timing timing) {
    double median = Median.of(timing.ms());
    double least = Arrays.stream(timing.ms()).min().orElseThrow();
    double teraflops = shape.flops() / median / 1e9;
    out.printf(
        "%-16s %12.3f %10.3f %9.3f %12.3f%n", router, median, least, teraflops, timing.imbalance());
    json.put(key + "ms", BenchDevice.round(median));
    json.put(key + "min_ms", BenchDevice.round(least));
    json.put(key + "tflop_per_s", BenchDevice.round(teraflops));
    json.put(key + "imbalance", BenchDevice.round(timing.imbalance()));
  }
}
