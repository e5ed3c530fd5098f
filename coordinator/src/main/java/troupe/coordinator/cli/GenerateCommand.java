package troupe.coordinator.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import troupe.coordinator.run.TrainedRun;
import troupe.core.UserException;
import troupe.router.Sampling;

/** {@code troupe generate}: lets a trained model write. */
@Command(
    name = "generate",
    description = "Continues prompts with a trained model, each to its end of line.",
    footer = {
      "",
      "Examples:",
      "  troupe generate runs/quickstart --prompt \"owl (noun):\"",
      "  troupe generate runs/quickstart --prompt \"owl (noun):\" --prompt \"sing (verb):\" --seed 7",
      "  troupe generate runs/quickstart --prompt \"owl (noun):\" --temperature 0     (greedy)"
    })
final class GenerateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Parameters(paramLabel = "RUN", description = "The folder of a run, or of one checkpoint.")
  private Path run;

  @Option(
      names = "--prompt",
      required = true,
      description = "What the text begins with; may be given several times.")
  private List<String> prompts;

  @Option(
      names = "--tokens",
      defaultValue = "200",
      description = "Most tokens to generate (default: ${DEFAULT-VALUE}).")
  private int tokens;

  @Option(
      names = "--temperature",
      defaultValue = "0.6",
      description = "Below 1 likelier, above 1 wilder; 0 = greedy (default: ${DEFAULT-VALUE}).")
  private double temperature;

  @Option(
      names = "--top-k",
      defaultValue = "10",
      description = "Draw among this many likeliest tokens; 0 = all (default: ${DEFAULT-VALUE}).")
  private int topK;

  @Option(
      names = "--seed",
      defaultValue = "0",
      description = "The same seed, the same text (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Override
  public Integer call() {
    require(tokens >= 1, "--tokens: " + tokens + " (expected: >= 1)", "--tokens 200");
    require(
        temperature >= 0 && Double.isFinite(temperature),
        "--temperature: " + temperature + " (expected: >= 0; 0 = greedy)",
        "--temperature 0.6");
    require(topK >= 0, "--top-k: " + topK + " (expected: >= 0; 0 = all)", "--top-k 10");
    PrintWriter out = spec.commandLine().getOut();
    try (TrainedRun trained = TrainedRun.open(run)) {
      trained.skipped().forEach(spec.commandLine().getErr()::println);
      trained.generate(
          prompts,
          tokens,
          new Sampling(temperature, topK, seed),
          text -> {
            out.println(text.strip());
            out.flush();
          });
    }
    return ExitCode.DONE;
  }

  private static void require(boolean condition, String message, String hint) {
    if (!condition) {
      throw new UserException(message, hint);
    }
  }
}
