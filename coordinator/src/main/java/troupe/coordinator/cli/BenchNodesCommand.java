package troupe.coordinator.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.bench.NodesBench;
import troupe.coordinator.bench.NodesPlan;
import troupe.coordinator.bench.NodesResult;
import troupe.coordinator.launch.Interrupts;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.MergedLog;

/** {@code troupe bench nodes}: what it costs to spread a run over processes. */
@Command(
    name = "nodes",
    description = {
      "Trains the same steps in three ways, one after the other, and prints how fast each was:",
      "  one     in one process, as train does",
      "  many    on N nodes of this machine, as launch does, without copies of their state",
      "  copies  on N nodes with copies, every replicate.every steps to replicate.copies nodes, at",
      "          least one",
      "All have the same compute threads together: cluster.threads, or the cores. Nothing but steps",
      "is timed: no validation, no checkpoint. All runs must end with the same parameters, bit for",
      "bit.",
      "",
      "tokens/s is by the clock, from the end of the warm-up to the last step. A step time leaves",
      "out what passes between two steps, such as waiting for copies; that has a column of its own.",
      "transport is the share of one thread's time, on average over nodes, warm-up included.",
      "",
      "A machine drifts within minutes: trust ratios within a pair, and the median of an even number",
      "of pairs, for every second one is measured in reverse. The runs are in a temporary folder and",
      "deleted, or stay in run.dir=FOLDER."
    },
    footer = {
      "",
      "Examples:",
      "  troupe bench nodes configs/cluster-local.conf",
      "  troupe bench nodes configs/cluster-local.conf --nodes 4 cluster.threads=8 --pairs 5",
      "  troupe bench nodes configs/cluster-local.conf transport.mode=udp run.dir=runs/bench-udp",
      "",
      "Exit codes: 0 done, 1 a run failed or ended with other parameters, 2 something for you to",
      "correct, 130 interrupted."
    })
final class BenchNodesCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--nodes",
      defaultValue = "2",
      paramLabel = "N",
      description = "How many nodes, from 2 on (default: ${DEFAULT-VALUE}).")
  private int nodes;

  @Option(
      names = "--pairs",
      defaultValue = "4",
      paramLabel = "N",
      description = "How often to measure each way (default: ${DEFAULT-VALUE}).")
  private int pairs;

  @Option(
      names = "--steps",
      defaultValue = "200",
      paramLabel = "N",
      description = "How many steps to time (default: ${DEFAULT-VALUE}).")
  private int steps;

  @Option(
      names = "--warmup",
      defaultValue = "200",
      paramLabel = "N",
      description =
          "How many steps to take before, until most is compiled (default: ${DEFAULT-VALUE}).")
  private int warmUp;

  @Mixin private ConfigArguments config;

  @Override
  public Integer call() throws InterruptedException, IOException {
    NodesPlan plan = NodesPlan.of(config.file(), config.overrides(), nodes, pairs, warmUp, steps);
    PrintWriter out = spec.commandLine().getOut();
    PrintWriter err = spec.commandLine().getErr();
    MergedLog log = new MergedLog(out, err, MergedLog.onTerminal(), nodes);
    NodesBench bench =
        new NodesBench(plan, JavaCommand.ofThisJvm(Troupe.class.getName()), log, System::nanoTime);
    NodesResult result;
    try (Interrupts _ = Interrupts.handledBy(bench::interrupt)) {
      result = bench.run();
    } finally {
      log.close();
    }
    BenchNodesReport report = new BenchNodesReport(plan, result);
    List<String> differences = result.differences();
    if (!differences.isEmpty()) {
      FailureHandler.print(
          err,
          String.join("\n", differences),
          "this is not your mistake: nodes must not change the bits; run.dir=FOLDER keeps the runs");
    }
    out.print(report.table());
    out.println();
    out.println(report.json());
    out.flush();
    return differences.isEmpty() ? ExitCode.DONE : ExitCode.FAILED;
  }
}
