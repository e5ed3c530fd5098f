package troupe.coordinator.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import troupe.coordinator.chaos.Chaos;
import troupe.coordinator.chaos.ChaosVerdict;
import troupe.coordinator.launch.Interrupts;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.MergedLog;
import troupe.core.UserException;

/** {@code troupe chaos}: training under faults, and the verdict. */
@Command(
    name = "chaos",
    description = {
      "Trains on a local cluster and disturbs it: kills workers, the node with the coordinator and",
      "two nodes at once, pauses nodes until the others give them up, asks nodes to go, starts dead ones",
      "again, moves experts, lets experts throw, loses packets. Which, when and whom follows from the seed;",
      "never so many that half of the nodes or fewer remain.",
      "",
      "After so many minutes the run is stopped with a checkpoint, the same run is trained to the",
      "same step undisturbed in one process, and the parameters of both are compared bit by bit.",
      "That takes about as long again at most. So that the run does not end before, train.steps is",
      "1000000 unless given; data travels by UDP unless transport.mode is given.",
      "",
      "The verdict is printed and written to verdict.json in the run folder."
    },
    footer = {
      "",
      "Examples:",
      "  troupe chaos configs/cluster-local.conf --seed 1 --minutes 20",
      "  troupe chaos configs/cluster-local.conf --seed 7 --minutes 5 --nodes 3 run.dir=runs/chaos7",
      "  troupe chaos configs/cluster-local.conf --seed 1 --minutes 5 --reference HASH \\",
      "        train.steps=2000",
      "      disturbed for five minutes, then on to step 2000, whose hash is known",
      "",
      "Exit codes: 0 everything recovered, to the same bits; 1 it did not; 2 something for you to",
      "correct, 130 interrupted."
    })
final class ChaosCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Option(
      names = "--seed",
      required = true,
      description = "Of the plan; the same seed, the same plan.")
  private long seed;

  @Option(
      names = "--minutes",
      required = true,
      paramLabel = "M",
      description = "How long to disturb; fractions allowed.")
  private double minutes;

  @Option(
      names = "--nodes",
      defaultValue = "5",
      paramLabel = "K",
      description = "How many JVMs, from 3 on (default: ${DEFAULT-VALUE}).")
  private int nodes;

  @Option(
      names = "--reference",
      paramLabel = "HASH",
      description = "What troupe hash prints of the undisturbed run after its last step.")
  private String reference;

  @Mixin private ConfigArguments config;

  @Override
  public Integer call() throws InterruptedException, IOException {
    if (!(minutes > 0) || Double.isInfinite(minutes)) {
      throw new UserException("--minutes: " + minutes + " (expected: > 0)", "--minutes 5");
    }
    if (reference != null && !reference.matches("[0-9a-f]{64}")) {
      throw new UserException(
          "--reference: " + reference + " (expected: 64 hexadecimal digits)",
          "take what troupe hash RUN prints");
    }
    PrintWriter out = spec.commandLine().getOut();
    MergedLog log = new MergedLog(out, spec.commandLine().getErr(), MergedLog.onTerminal(), nodes);
    Chaos chaos =
        new Chaos(
            JavaCommand.ofThisJvm(Troupe.class.getName()),
            config.file(),
            config.overrides(),
            nodes,
            seed,
            Duration.ofMillis(Math.round(minutes * 60_000)),
            Optional.ofNullable(reference),
            log);
    ChaosVerdict verdict;
    try (Interrupts _ = Interrupts.handledBy(chaos::interrupt)) {
      verdict = chaos.run();
    } finally {
      log.close();
    }
    out.printf("%n%s%n", verdict.text());
    out.flush();
    return verdict.holds() ? ExitCode.DONE : ExitCode.FAILED;
  }
}
