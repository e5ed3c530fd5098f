package troupe.coordinator.cli;

import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import troupe.coordinator.cluster.Door;
import troupe.coordinator.cluster.DoorClient;
import troupe.coordinator.events.NodesFile;
import troupe.coordinator.run.RunFolder;
import troupe.core.UserException;

/** {@code troupe move}: has a live expert live on another node. */
@Command(
    name = "move",
    description = {
      "Moves an expert of a running run to another node, with its optimizer state, between two",
      "steps. The parameters stay the same bits."
    },
    footer = {"", "Example:", "  troupe move runs/cluster-local --expert 2/5 --to node-3"})
final class MoveCommand implements Callable<Integer> {
  private static final Duration TIMEOUT_A_NODE = Duration.ofSeconds(10);

  @Spec private CommandSpec spec;

  @Parameters(index = "0", paramLabel = "RUN", description = "The folder of the run.")
  private Path run;

  @Option(
      names = "--expert",
      required = true,
      paramLabel = "LAYER/EXPERT",
      description = "The expert, such as 2/5.")
  private String expert;

  @Option(
      names = "--to",
      required = true,
      paramLabel = "NODE",
      description = "The name of a node, as nodes.json has it; NODE:1 is its second GPU.")
  private String node;

  @Override
  public Integer call() {
    if (!expert.matches("[0-9]{1,6}/[0-9]{1,6}")) {
      throw new UserException("--expert: " + expert + " (expected: LAYER/EXPERT)", "--expert 2/5");
    }
    String[] parts = expert.split("/");
    RunFolder folder = RunFolder.existing(run);
    List<String> addresses =
        NodesFile.read(folder.file(NodesFile.FILE_NAME)).nodes().stream()
            .filter(there -> there.state() != NodesFile.State.GONE)
            .map(NodesFile.Node::address)
            .toList();
    Door.Accepted accepted =
        new DoorClient(folder.config())
            .ask(
                addresses,
                new Door.MoveExpert(Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), node),
                TIMEOUT_A_NODE);
    spec.commandLine().getOut().println(accepted.what());
    return ExitCode.DONE;
  }
}
