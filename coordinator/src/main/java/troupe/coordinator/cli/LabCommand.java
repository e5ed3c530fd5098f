package troupe.coordinator.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;
import troupe.coordinator.lab.Lab;
import troupe.coordinator.launch.JavaCommand;
import troupe.core.checkpoint.RunLock;
import troupe.core.config.RunConfig;

/** {@code troupe lab}: an experiment on gates and estimators. */
@Command(
    name = "lab",
    description = {
      "Runs an experiment: how good gradient estimators are (lab.kind = estimators), how experts of",
      "limited capacity divide points among themselves (toy), or trainings that each leave something",
      "out (ablation). Leaves report.html, results.json, results.md and drawings in run.dir.",
      "",
      "An ablation goes on where it was interrupted: trainings that are in run.dir/results.jsonl with",
      "the same config are not repeated."
    },
    footer = {
      "",
      "Examples:",
      "  troupe lab configs/estimators.conf",
      "  troupe lab configs/kool-toy.conf lab.seeds=5",
      "  troupe lab configs/sparsemixer-ablation.conf lab.parallel=4 cluster.threads=4"
    })
final class LabCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Mixin private ConfigArguments config;

  @Override
  public Integer call() throws InterruptedException {
    RunConfig run = config.load();
    Path folder = Path.of(run.run().dir());
    try (RunLock _ = RunLock.acquire(folder)) {
      try (RunLog _ = RunLog.open(folder)) {
        List<String> failures =
            Lab.run(run, JavaCommand.ofThisJvm(Troupe.class.getName()), this::print);
        return failures.isEmpty() ? ExitCode.DONE : failed(failures);
      }
    }
  }

  private int failed(List<String> failures) {
    FailureHandler.print(
        spec.commandLine().getErr(),
        String.join("\n", failures),
        "the same command trains these again, and only these");
    return ExitCode.FAILED;
  }

  private synchronized void print(String line) {
    PrintWriter out = spec.commandLine().getOut();
    out.println(line);
    out.flush();
  }
}
