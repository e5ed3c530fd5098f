package troupe.coordinator.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import troupe.coordinator.run.TrainedRun;

/** {@code troupe hash}: one number for all parameters. */
@Command(
    name = "hash",
    description = {
      "Prints the SHA-256 of all parameters in canonical order: the trunk's as config.conf orders",
      "layers, then each expert's. Equal hashes are equal models, bit for bit."
    })
final class HashCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(
      paramLabel = "RUN|CHECKPOINT",
      description = "The folder of a run (its newest whole checkpoint), or of one checkpoint.")
  private Path run;

  @Override
  public Integer call() {
    try (TrainedRun trained = TrainedRun.open(run)) {
      trained.skipped().forEach(spec.commandLine().getErr()::println);
      spec.commandLine().getOut().println(trained.hash());
    }
    return ExitCode.DONE;
  }
}
