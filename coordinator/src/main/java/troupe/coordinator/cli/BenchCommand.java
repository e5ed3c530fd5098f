package troupe.coordinator.cli;

import com.google.gson.Gson;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import troupe.coordinator.bench.TrainBench;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/** {@code troupe bench}: measures, and prints one JSON line last. */
@Command(
    name = "bench",
    description = "Measures speed; the last line of output is JSON.",
    subcommands = {BenchCommand.Train.class, BenchControlCommand.class, BenchNodesCommand.class})
final class BenchCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(), "bench: nothing named (expected: train, control or nodes)");
  }

  /** {@code troupe bench train}: whole steps through the real actors. */
  @Command(
      name = "train",
      description = {
        "Trains on random tokens and prints the median tokens a second of " + Train.STEPS,
        "steps after " + Train.WARM_UP_STEPS + " steps of warm-up, and where the time goes."
      })
  static final class Train implements Callable<Integer> {
    static final int WARM_UP_STEPS = 5;
    static final int STEPS = 20;

    @Spec private CommandSpec spec;

    @Parameters(
        index = "0",
        paramLabel = "CONFIG",
        description = "A config, such as configs/bench-cpu.conf.")
    private Path config;

    @Parameters(
        index = "1..*",
        arity = "0..*",
        paramLabel = "KEY=VALUE",
        description = "What differs from it.")
    private List<String> overrides = List.of();

    @Override
    public Integer call() {
      RunConfig run = ConfigLoader.load(config, overrides);
      TrainBench.Result result = TrainBench.run(run, WARM_UP_STEPS, STEPS);
      PrintWriter out = spec.commandLine().getOut();
      printProfile(out, result);
      out.println(new Gson().toJson(json(run, result)));
      return ExitCode.DONE;
    }

    private static void printProfile(PrintWriter out, TrainBench.Result result) {
      out.printf(
          "%.1f ms a step (median), %.1f GFLOP/s in matrix products counted%n",
          result.medianMs(), result.tokensPerSecond() * result.flopsPerToken() / 1e9);
      out.printf("%nkernel                 ms a step   share of %d threads%n", result.threads());
      double capacity = result.profiledStepMs() * result.threads();
      result
          .kernelMs()
          .forEach(
              (kernel, ms) ->
                  out.printf("%-22s %9.2f   %5.1f %%%n", kernel, ms, 100 * ms / capacity));
      out.printf(
          "%-22s %9.2f   %5.1f %%   gates, actors, transport, waiting%n%n",
          "outside kernels", capacity * result.outsideKernels(), 100 * result.outsideKernels());
    }

    private static Map<String, Object> json(RunConfig run, TrainBench.Result result) {
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("bench", "train");
      json.put("tokens_per_s", Math.round(result.tokensPerSecond()));
      json.put("step_ms", round(result.medianMs()));
      json.put("min_step_ms", round(Arrays.stream(result.stepMs()).min().orElseThrow()));
      json.put("gflop_per_s", round(result.tokensPerSecond() * result.flopsPerToken() / 1e9));
      json.put("tokens_per_step", result.tokensPerStep());
      json.put("threads", result.threads());
      json.put("device", run.device());
      json.put("gate", run.gate().type().toString());
      json.put("outside_kernels", round(result.outsideKernels()));
      json.put("kernel_ms", result.kernelMs());
      return json;
    }

    private static double round(double value) {
      return Math.round(value * 1e3) / 1e3;
    }
  }
}
