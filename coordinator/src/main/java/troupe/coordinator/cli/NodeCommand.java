package troupe.coordinator.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.launch.ParentWatch;
import troupe.coordinator.node.ClusterNode;
import troupe.coordinator.node.NodeEnd;
import troupe.core.config.RunConfig;

/** {@code troupe node}: takes part in a run as one node of many. */
@Command(
    name = "node",
    description = {
      "Takes part in a run as one node of many: joins through cluster.seeds, hosts the ranks and",
      "experts that are placed here, and coordinates if it is chosen to. SIGTERM hands over what",
      "lives here and ends; when all nodes get it the run stops with a checkpoint.",
      "The config is the same on all nodes; cluster.* is a node's own."
    },
    footer = {
      "",
      "Examples (three hosts; the first seed begins the run):",
      "  troupe node CONFIG cluster.nodes=3 cluster.host=host1 'cluster.seeds=[\"host1:25520\"]'",
      "  troupe node CONFIG cluster.nodes=3 cluster.host=host2 'cluster.seeds=[\"host1:25520\"]'",
      "  troupe node CONFIG cluster.nodes=3 cluster.host=host3 'cluster.seeds=[\"host1:25520\"]'",
      "  troupe launch --nodes 3 CONFIG",
      "      does the same with three processes on this machine",
      "",
      "Exit codes: 0 done, 1 failed, 2 something for you to correct, 3 the majority of nodes goes",
      "on without this one, 130 the run was stopped with a checkpoint."
    })
final class NodeCommand implements Callable<Integer> {
  /** How long a node that is asked to go may take to hand over. */
  private static final Duration LEAVE_TIMEOUT = Duration.ofMinutes(2);

  @Spec private CommandSpec spec;

  @Option(
      names = ParentWatch.OPTION,
      hidden = true,
      description = "Leaves when standard input ends: whoever started this process is gone.")
  private boolean watchStdin;

  @Mixin private ConfigArguments config;

  @Override
  public Integer call() throws IOException {
    RunConfig run = config.load();
    Path folder = Path.of(run.run().dir());
    Files.createDirectories(folder);
    try (RunLog _ = RunLog.open(folder, logName(run.cluster()))) {
      return takePart(run);
    }
  }

  private static String logName(RunConfig.Cluster cluster) {
    return cluster.name().isEmpty() ? cluster.host() + "-" + cluster.port() : cluster.name();
  }

  private int takePart(RunConfig run) {
    PrintWriter out = spec.commandLine().getOut();
    ClusterNode node = new ClusterNode(run, new TrainProgress(run, out));
    CompletableFuture<Integer> ended = new CompletableFuture<>();
    Thread interrupt = new Thread(() -> onInterrupt(node, ended), "interrupt");
    Runtime.getRuntime().addShutdownHook(interrupt);
    if (watchStdin) {
      // The same as SIGTERM, deadline included: nobody is left to kill what does not end.
      ParentWatch.start(System.in, () -> System.exit(ExitCode.INTERRUPTED));
    }
    try {
      int code = report(node.run());
      ended.complete(code);
      return code;
    } finally {
      // Without a code if it threw.
      ended.cancel(false);
      try {
        Runtime.getRuntime().removeShutdownHook(interrupt);
      } catch (IllegalStateException e) {
        // Going down already: the hook is what this thread was waited for by.
      }
    }
  }

  private int report(NodeEnd end) {
    PrintWriter out = spec.commandLine().getOut();
    return switch (end) {
      case NodeEnd.Finished(Outcome.Completed completed) -> {
        out.printf("run completed after step %d%n", completed.step());
        out.flush();
        yield ExitCode.DONE;
      }
      case NodeEnd.Finished(Outcome.Stopped stopped) -> {
        out.printf(
            "stopped after step %d; checkpoint written. The same command with resume=true goes on.%n",
            stopped.step());
        out.flush();
        yield ExitCode.INTERRUPTED;
      }
      case NodeEnd.Finished(Outcome.Failed failed) -> {
        FailureHandler.print(spec.commandLine().getErr(), failed.message(), failed.hint());
        yield failed.isMistake() ? ExitCode.MISTAKE : ExitCode.FAILED;
      }
      case NodeEnd.Left left -> {
        out.printf("left: what lived here is on other nodes%n");
        out.flush();
        yield ExitCode.DONE;
      }
      case NodeEnd.Expelled(String cause) -> {
        FailureHandler.print(
            spec.commandLine().getErr(),
            cause,
            "the same command joins again; the run goes on with the majority of nodes");
        yield ExitCode.CUT_OFF;
      }
    };
  }

  /** The JVM is going down: hand over first. */
  private void onInterrupt(ClusterNode node, CompletableFuture<Integer> ended) {
    if (ended.isDone()) {
      return;
    }
    node.leave();
    try {
      // A JVM that a signal ends would say so in its exit code, whatever it did about it.
      Runtime.getRuntime().halt(ended.get(LEAVE_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS));
    } catch (TimeoutException e) {
      PrintWriter err = spec.commandLine().getErr();
      err.printf("not handed over within %s: the others go on from their copies%n", LEAVE_TIMEOUT);
      err.flush();
      Runtime.getRuntime().halt(ExitCode.FAILED);
    } catch (ExecutionException | CancellationException e) {
      // It failed, which the thread that it failed on tells.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
