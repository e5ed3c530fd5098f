package troupe.coordinator.cli;

import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** {@code troupe bench}: measures, and prints one JSON line last. */
@Command(
    name = "bench",
    description = "Measures speed; the last line of output is JSON.",
    subcommands = {
      BenchTrainCommand.class,
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
}
