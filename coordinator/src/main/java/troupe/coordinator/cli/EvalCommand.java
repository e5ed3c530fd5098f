package troupe.coordinator.cli;

import java.nio.file.Path;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import troupe.coordinator.run.TrainedRun;
import troupe.core.UserException;

/** {@code troupe eval}: the loss of a trained model on text it was not trained on. */
@Command(
    name = "eval",
    description = "Computes the loss on the validation text, without jitter, sampling or capacity.")
final class EvalCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "RUN", description = "The folder of a run, or of one checkpoint.")
  private Path run;

  @Option(
      names = "--batches",
      description = "Batches of train.batch sequences (default: evaluate.batches of the run).")
  private Integer batches;

  @Override
  public Integer call() {
    if (batches != null && batches < 1) {
      throw new UserException("--batches: " + batches + " (expected: >= 1)", "--batches 20");
    }
    try (TrainedRun trained = TrainedRun.open(run)) {
      trained.skipped().forEach(spec.commandLine().getErr()::println);
      trained.evaluate(
          batches == null ? trained.config().evaluate().batches() : batches,
          (loss, tokens) ->
              spec.commandLine()
                  .getOut()
                  .printf(
                      Locale.ROOT,
                      "step %d  validation loss %.4f nats/byte, %.3f bits/byte over %,d tokens%n",
                      trained.step(),
                      loss,
                      loss / Math.log(2),
                      tokens));
    }
    return ExitCode.DONE;
  }
}
