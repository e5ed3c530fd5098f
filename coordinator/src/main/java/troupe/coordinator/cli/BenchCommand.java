package troupe.coordinator.cli;

import com.google.gson.Gson;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import troupe.coordinator.bench.Median;
import troupe.coordinator.bench.TrainBench;
import troupe.core.config.ConfigLoader;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;
import troupe.core.tensor.KernelProfiler;

/** {@code troupe bench}: measures, and prints one JSON line last. */
@Command(
    name = "bench",
    description = "Measures speed; the last line of output is JSON.",
    subcommands = {
      BenchCommand.Train.class,
      BenchMoeLayerCommand.class,
      BenchAttentionCommand.class,
      BenchKernelsCommand.class,
      BenchControlCommand.class,
      BenchNodesCommand.class
    })
final class BenchCommand implements Runnable {
  @Spec private CommandSpec spec;

  @Override
  public void run() {
    throw new ParameterException(
        spec.commandLine(),
        "bench: nothing named (expected: train, moe-layer, attention, kernels, control or nodes)");
  }

  /** {@code troupe bench train}: whole steps through the real actors. */
  @Command(
      name = "train",
      description = {
        "Trains on random tokens and prints the median tokens a second of --steps steps after",
        "--warmup more, and where the time goes.",
        "",
        "Then the same with gate.type=balanced, which gives every expert the same number of tokens:",
        "what is between the two is what the router's choices cost, not its work."
      },
      footer = {
        "",
        "Examples:",
        "  troupe bench train configs/bench-cpu.conf",
        "  troupe bench train configs/h200-8e.conf train.batch=64 --no-balanced"
      })
  static final class Train implements Callable<Integer> {
    private static final String FORCED = "forced balanced";

    @Spec private CommandSpec spec;

    @Mixin private ConfigArguments config;

    @Option(
        names = "--balanced",
        negatable = true,
        defaultValue = "true",
        fallbackValue = "true",
        description = {
          "Also time the forced even load (default: yes);",
          "--no-balanced saves these steps."
        })
    private boolean balanced;

    @Option(
        names = "--steps",
        paramLabel = "N",
        defaultValue = "20",
        description = "Steps that are timed (default: ${DEFAULT-VALUE}).")
    private int steps;

    @Option(
        names = "--warmup",
        paramLabel = "N",
        defaultValue = "5",
        description = {
          "Steps before them (default: ${DEFAULT-VALUE}), beside those of the profile. Code is",
          "compiled for some 60 steps, which shows where a step takes less than 100 ms."
        })
    private int warmUp;

    @Override
    public Integer call() {
      BenchDevice.atLeast("--steps", steps, 1);
      BenchDevice.atLeast("--warmup", warmUp, 0);
      RunConfig run = config.load();
      PrintWriter out = spec.commandLine().getOut();
      TrainBench.Result result = TrainBench.run(run, warmUp, steps);
      double[] balancedMs = balancedMs(run);
      printProfile(out, result);
      boolean forced = run.gate().type() == GateType.BALANCED;
      printSpeed(out, forced ? FORCED : "real router", result.stepMs(), result);
      if (balancedMs.length > 0) {
        printSpeed(out, FORCED, balancedMs, result);
      }
      out.println();
      out.println(new Gson().toJson(json(run, result, balancedMs)));
      return ExitCode.DONE;
    }

    /** Step times of the forced even load; none if nobody wants them or the run has it anyway. */
    private double[] balancedMs(RunConfig run) {
      if (!balanced || run.gate().type() == GateType.BALANCED) {
        return new double[0];
      }
      List<String> forced = new ArrayList<>(config.overrides());
      forced.add("gate.type=balanced");
      return TrainBench.timed(ConfigLoader.load(config.file(), forced), warmUp, steps);
    }

    private static void printSpeed(
        PrintWriter out, String router, double[] stepMs, TrainBench.Result result) {
      double tokensPerSecond = tokensPerSecond(stepMs, result);
      out.printf(
          "%-16s %,12.0f tokens/s  %9.1f ms a step (median)  %,9.1f GFLOP/s in matrix products%n",
          router,
          tokensPerSecond,
          Median.of(stepMs),
          tokensPerSecond * result.flopsPerToken() / 1e9);
    }

    private static double tokensPerSecond(double[] stepMs, TrainBench.Result result) {
      return result.tokensPerStep() / Median.of(stepMs) * 1e3;
    }

    private static void printProfile(PrintWriter out, TrainBench.Result result) {
      out.printf(
          "%-30s %9s   share of %s%n",
          "kernel", "ms a step", result.ownClock() ? "the step" : result.threads() + " threads");
      result
          .kernelMs()
          .forEach(
              (kernel, ms) -> {
                if (!kernel.equals(KernelProfiler.IDLE)) {
                  printShare(out, kernel, ms / result.capacityMs(), result, "");
                }
              });
      printShare(
          out,
          "outside kernels",
          result.outsideKernels(),
          result,
          "   gates, actors, transport, waiting");
      if (result.ownClock()) {
        printShare(
            out, "  of which idle", result.idle(), result, "   the device between two kernels");
      }
      out.println();
    }

    private static void printShare(
        PrintWriter out, String name, double share, TrainBench.Result result, String remark) {
      out.printf(
          "%-30s %9.2f   %5.1f %%%s%n", name, share * result.capacityMs(), 100 * share, remark);
    }

    private static Map<String, Object> json(
        RunConfig run, TrainBench.Result result, double[] balancedMs) {
      Map<String, Object> json = new LinkedHashMap<>();
      json.put("bench", "train");
      json.put("tokens_per_s", Math.round(result.tokensPerSecond()));
      json.put("step_ms", round(result.medianMs()));
      json.put("min_step_ms", round(Arrays.stream(result.stepMs()).min().orElseThrow()));
      if (balancedMs.length > 0) {
        json.put("balanced_tokens_per_s", Math.round(tokensPerSecond(balancedMs, result)));
        json.put("balanced_step_ms", round(Median.of(balancedMs)));
        json.put("balanced_min_step_ms", round(Arrays.stream(balancedMs).min().orElseThrow()));
      }
      json.put("gflop_per_s", round(result.tokensPerSecond() * result.flopsPerToken() / 1e9));
      json.put("tokens_per_step", result.tokensPerStep());
      json.put("threads", result.threads());
      json.put("device", run.device());
      json.put("gate", run.gate().type().toString());
      json.put("outside_kernels", round(result.outsideKernels()));
      if (result.ownClock()) {
        json.put("idle", round(result.idle()));
      }
      json.put("kernel_ms", result.kernelMs());
      return json;
    }

    private static double round(double value) {
      return Math.round(value * 1e3) / 1e3;
    }
  }
}
