package troupe.coordinator.cli;

import java.io.PrintStream;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Spec;

/**
 * The command {@code troupe}. Exits with 0 if done, 2 if the user has to correct something, 3 if a
 * node was given up by the others, 130 if interrupted, 1 otherwise. A new verb is a class with
 * {@link Command} and one entry in {@code subcommands}.
 */
@Command(
    name = "troupe",
    versionProvider = Troupe.Version.class,
    synopsisSubcommandLabel = "VERB",
    commandListHeading = "%nVerbs (troupe VERB --help says more):%n",
    description = {
      "Trains mixture-of-experts language models; every expert is an actor.",
      "",
      "Hyper-parameters live in configs, not in options: configs/defaults.conf explains each key,",
      "and KEY=VALUE after the config overrides it."
    },
    footer = {
      "",
      "Examples:",
      "  troupe train configs/quickstart.conf",
      "      learns to write dictionary definitions, in about four minutes on two cores",
      "  troupe train configs/quickstart.conf gate.type=switch seed=1 run.dir=runs/switch",
      "      the same with another gate and seed, in a folder of its own",
      "  troupe train configs/quickstart.conf resume=true",
      "      goes on where an interrupted run left off",
      "  troupe launch --nodes 3 configs/cluster-local.conf",
      "      trains on three nodes of this machine; kill -9 one of them",
      "  troupe generate runs/quickstart --prompt \"owl (noun):\"",
      "      lets a trained model write",
      "  troupe simulate configs/simulate.conf simulate.zipf=0.8",
      "      what would experts, capacity and machines of that size do?",
      "  troupe doctor",
      "      shows what Troupe sees of this machine",
      "",
      "Exit codes: 0 done, 1 failed, 2 something for you to correct, 3 a node that the others go",
      "on without, 130 interrupted (143 by SIGTERM)."
    },
    subcommands = {
      TrainCommand.class,
      SimulateCommand.class,
      NodeCommand.class,
      MoveCommand.class,
      LaunchCommand.class,
      ChaosCommand.class,
      GenerateCommand.class,
      EvalCommand.class,
      HashCommand.class,
      LabCommand.class,
      BenchCommand.class,
      DoctorCommand.class
    })
public final class Troupe implements Runnable {
  @Spec private CommandSpec spec;

  private Troupe() {}

  /** Runs one verb and ends the JVM with its exit code. */
  public static void main(String[] arguments) {
    PrintWriter err = writer(System.err);
    try {
      System.exit(commandLine(writer(System.out), err).execute(arguments));
    } catch (Error e) {
      // Picocli takes exceptions only, and other threads would keep the process for ever.
      System.exit(FailureHandler.tell(e, err));
    }
  }

  /** The command with all its verbs, writing to {@code out} and {@code err}. */
  static CommandLine commandLine(PrintWriter out, PrintWriter err) {
    CommandLine commandLine = new CommandLine(new Troupe());
    commandLine.setOut(out);
    commandLine.setErr(err);
    commandLine.setExecutionExceptionHandler(new FailureHandler());
    commandLine.setParameterExceptionHandler(new MistakeHandler());
    commandLine.setUsageHelpWidth(100);
    addHelp(commandLine);
    return commandLine;
  }

  /** Every verb, and every verb of a verb, has --help. */
  private static void addHelp(CommandLine commandLine) {
    commandLine.getCommandSpec().mixinStandardHelpOptions(true);
    commandLine.getSubcommands().values().forEach(Troupe::addHelp);
  }

  /** Without a verb there is nothing to do but to explain. */
  @Override
  public void run() {
    throw new CommandLine.ParameterException(
        spec.commandLine(), "verb: none (expected: one of those that troupe --help lists)");
  }

  private static PrintWriter writer(PrintStream stream) {
    return new PrintWriter(stream, true, StandardCharsets.UTF_8);
  }

  /** Version of Troupe from its jar's manifest, and of Java. */
  static final class Version implements IVersionProvider {
    @Override
    public String[] getVersion() {
      String version = Troupe.class.getPackage().getImplementationVersion();
      return new String[] {
        "troupe " + (version == null ? "(not packaged)" : version),
        "java " + Runtime.version() + " (" + System.getProperty("java.vendor") + ")"
      };
    }
  }
}
