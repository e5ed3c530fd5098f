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
import troupe.coordinator.bench.AttentionBench;
import troupe.coordinator.bench.Median;
import troupe.core.tensor.Device;

/** {@code troupe bench attention}: causal attention alone. */
@Command(
    name = "attention",
    description = {
      "Times causal attention alone, forward and backward, on random numbers.",
      "",
      "Counted are 4 * batch * heads * seq^2 * size / 2 operations forward, for a query sees half",
      "of the keys on average, and 2.5 times as many backward: five products where forward has two.",
      "Times are the device's own where it has a clock (a GPU), else those of calls."
    },
    footer = {
      "",
      "Examples:",
      "  troupe bench attention",
      "  troupe bench attention --batch 4 --seq 8192 --head-size 128",
      "  troupe bench attention --device cpu --batch 1 --seq 256 --heads 4"
    })
final class BenchAttentionCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private BenchDevice bench;

  @Option(
      names = "--batch",
      defaultValue = "32",
      paramLabel = "N",
      description = "Sequences (default: ${DEFAULT-VALUE}).")
  private int batch;

  @Option(
      names = "--seq",
      defaultValue = "1024",
      paramLabel = "N",
      description = "Tokens of a sequence (default: ${DEFAULT-VALUE}).")
  private int seq;

  @Option(
      names = "--heads",
      defaultValue = "16",
      paramLabel = "N",
      description = "Heads (default: ${DEFAULT-VALUE}).")
  private int heads;

  @Option(
      names = "--head-size",
      defaultValue = "64",
      paramLabel = "N",
      description = "Channels of a head (default: ${DEFAULT-VALUE}).")
  private int headSize;

  @Override
  public Integer call() {
    BenchDevice.atLeast("--batch", batch, 1);
    BenchDevice.atLeast("--seq", seq, 1);
    BenchDevice.atLeast("--heads", heads, 1);
    BenchDevice.atLeast("--head-size", headSize, 1);
    AttentionBench.Shape shape = new AttentionBench.Shape(batch, seq, heads, headSize);
    AttentionBench.Result result;
    try (Device device = bench.open()) {
      result = AttentionBench.run(device, shape, bench.repeats());
    }
    PrintWriter out = spec.commandLine().getOut();
    out.printf(
        "%s, batch %d, seq %d, %d heads of %d, causal%n%n",
        result.device(), batch, seq, heads, headSize);
    out.println("            ms (median)   ms (min)   TFLOP/s");
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("bench", "attention");
    json.put("device", result.device());
    json.put("batch", batch);
    json.put("seq", seq);
    json.put("heads", heads);
    json.put("head_size", headSize);
    double forward = shape.forwardFlops();
    double backward = shape.backwardFlops();
    report(out, json, "forward", result.forwardMs(), forward);
    report(out, json, "backward", result.backwardMs(), backward);
    report(out, json, "both", result.bothMs(), forward + backward);
    out.println();
    out.println(new Gson().toJson(json));
    return ExitCode.DONE;
  }

  private static void report(
      PrintWriter out, Map<String, Object> json, String pass, double[] ms, double flops) {
    double median = Median.of(ms);
    double least = Arrays.stream(ms).min().orElseThrow();
    double teraflops = flops / median / 1e9;
    out.printf("%-10s %12.3f %10.3f %9.4f%n", pass, median, least, teraflops);
    json.put(pass + "_ms", BenchDevice.round(median));
    json.put(pass + "_min_ms", BenchDevice.round(least));
    json.put(pass + "_tflop_per_s", BenchDevice.round(teraflops));
  }
}
