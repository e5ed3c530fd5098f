package troupe.coordinator.cli;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.launch.Interrupts;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.Launch;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.MergedLog;

/** {@code troupe launch}: a run on a cluster of JVMs of this machine. */
@Command(
    name = "launch",
    description = {
      "Trains on several nodes of this machine: starts one JVM a node, shows what all of them print,",
      "and ends when the run does. A node that dies is reported; the others go on without it.",
      "nodes.json in the run folder lists name, process and address of each.",
      "Ctrl-C stops all nodes with a checkpoint; pressed again it kills them.",
      "Each node gets its share of the cores (cluster.threads) and free ports; cluster.port=PORT",
      "takes the ports from PORT on instead."
    },
    footer = {
      "",
      "Examples:",
      "  troupe launch --nodes 3 configs/cluster-local.conf",
      "  troupe launch --nodes 3 configs/cluster-local.conf run.dir=runs/three train.steps=500",
      "  troupe launch --nodes 3 configs/cluster-local.conf resume=true",
      "      goes on where an interrupted run left off, on any number of nodes",
      "  troupe launch --nodes 3 --restart configs/cluster-local.conf",
      "      starts nodes that die again; try kill -9 on one of them",
      "",
      "Exit codes: 0 the run is complete, 1 it failed, 2 something for you to correct, 130 stopped."
    })
final class LaunchCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--nodes",
      required = true,
      paramLabel = "N",
      description = "How many JVMs to start.")
  private int nodes;

  @Option(names = "--restart", description = "Start nodes again that die.")
  private boolean restart;

  @Mixin private ConfigArguments config;

  @Override
  public Integer call() throws InterruptedException {
    LaunchPlan plan = LaunchPlan.of(config.file(), config.overrides(), nodes);
    MergedLog log =
        new MergedLog(
            spec.commandLine().getOut(),
            spec.commandLine().getErr(),
            MergedLog.onTerminal(),
            plan.nodes());
    Launch launch = new Launch(JavaCommand.ofThisJvm(Troupe.class.getName()), plan, log, restart);
    try (Interrupts _ = Interrupts.handledBy(launch::interrupt)) {
      return launch.run();
    }
  }
}
