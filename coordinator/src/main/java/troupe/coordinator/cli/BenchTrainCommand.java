package troupe.coordinator.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.bench.TrainBench;
import troupe.coordinator.files.AtomicFile;
import troupe.coordinator.timeline.ChromeTrace;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;
import troupe.core.tensor.cuda.GpuRecording;

/** {@code troupe bench train}: whole steps through the real actors. */
@Command(
    name = "train",
    description = {
      "Trains on random tokens and prints the median tokens a second of --steps steps after",
      "--warmup more, and where the time goes.",
      "",
      "Then the same with gate.type=balanced, which gives every expert the same number of tokens:",
      "what is between the two is what the router's choices cost, not its work.",
      "",
      "Where the time of GPUs goes is recorded by CUPTI as they work, in steps of their own, and idle",
      "is when nothing runs in any stream. Without libcupti kernels are timed one by one, which takes",
      "longer and keeps streams from running side by side."
    },
    footer = {
      "",
      "Examples:",
      "  troupe bench train configs/bench-cpu.conf",
      "  troupe bench train configs/h200-8e.conf train.batch=64 --no-balanced",
      "  troupe bench train configs/h200-8e.conf --timeline steps.json"
    })
final class BenchTrainCommand implements Callable<Integer> {
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
        "Steps before them (default: ${DEFAULT-VALUE}); with placement.rebalance=load and several",
        "GPUs at least 2.5 times placement.patience_steps, so that experts have moved."
      })
  private int warmUp;

  @Option(
      names = "--timeline",
      paramLabel = "FILE",
      description = {
        "Write what GPUs did in the profiled steps, for https://ui.perfetto.dev or",
        "chrome://tracing. Needs a GPU and libcupti."
      })
  private Path timeline;

  @Override
  public Integer call() {
    BenchDevice.atLeast("--steps", steps, 1);
    BenchDevice.atLeast("--warmup", warmUp, 0);
    RunConfig run = config.load();
    if (timeline != null && !Files.isDirectory(timeline.toAbsolutePath().getParent())) {
      throw new UserException(
          "--timeline: " + timeline + " (expected: in a folder that exists)",
          "mkdir -p " + timeline.toAbsolutePath().getParent());
    }
    TrainBench.Result result =
        TrainBench.run(new TrainBench.Plan(run, forced(run), warmUp, steps, timeline != null));
    if (timeline != null) {
      write(result.profile().recording().orElseThrow());
    }
    new BenchTrainReport(spec.commandLine().getOut(), run, result).print();
    return ExitCode.DONE;
  }

  /** The forced even load, unless nobody wants it or the run has it anyway. */
  private Optional<RunConfig> forced(RunConfig run) {
    if (!balanced || run.gate().type() == GateType.BALANCED) {
      return Optional.empty();
    }
    List<String> forced = new ArrayList<>(config.overrides());
    forced.add("gate.type=balanced");
    return Optional.of(ConfigLoader.load(config.file(), forced));
  }

  private void write(GpuRecording recording) {
    try {
      AtomicFile.write(timeline, to -> ChromeTrace.write(recording, recording.fromNs(), to));
    } catch (IOException e) {
      throw new UserException(
          "--timeline: " + timeline + " cannot be written: " + e, "--timeline ANOTHER", e);
    }
  }
}
