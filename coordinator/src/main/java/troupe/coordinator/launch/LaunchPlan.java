package troupe.coordinator.launch;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import troupe.core.UserException;
import troupe.core.checkpoint.RunLock;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.cuda.CudaDevices;

/**
 * What each node of a local cluster is told: the user's config and overrides, then what tells nodes
 * apart.
 *
 * @param run the config of the run, as the nodes will read it
 * @param config its file
 * @param overrides the user's, each {@code KEY=VALUE}
 * @param ports of control messages, one for each node
 */
public record LaunchPlan(RunConfig run, Path config, List<String> overrides, List<Integer> ports) {
  private static final String PORT = "cluster.port";

  /** Keys that must differ from node to node, so that one value for all cannot be right. */
  private static final List<String> GIVEN_BY_LAUNCH =
      List.of("cluster.name", "cluster.seeds", "cluster.data_port");

  /** Copies the lists. */
  public LaunchPlan {
    overrides = List.copyOf(overrides);
    ports = List.copyOf(ports);
  }

  /**
   * Reads the config and finds a port for each node: free ones, or those from {@code cluster.port}
   * on if the user gave it.
   *
   * @param overrides each {@code KEY=VALUE}
   * @throws UserException if the config is wrong, there are too few nodes or ports, or an override
   *     would make all nodes the same
   */
  public static LaunchPlan of(Path config, List<String> overrides, int nodes) {
    if (nodes < 1) {
      throw new UserException("--nodes: " + nodes + " (expected: >= 1)", "--nodes 3");
    }
    RunConfig run = ConfigLoader.load(config, overrides);
    for (String key : GIVEN_BY_LAUNCH) {
      if (sets(overrides, key)) {
        throw new UserException(
            key + ": one value for " + nodes + " nodes (expected: left to launch)",
            "leave it out, or start each node with troupe node");
      }
    }
    String host = run.cluster().host();
    List<Integer> ports =
        sets(overrides, PORT)
            ? Ports.from(PORT, host, run.cluster().port(), nodes)
            : Ports.free(host, nodes);
    return new LaunchPlan(run, config, overrides, ports);
  }

  /** How many nodes there are. */
  public int nodes() {
    return ports.size();
  }

  /** The folder of the run. */
  public Path runFolder() {
    return Path.of(run.run().dir());
  }

  /**
   * Keeps a second launch off the run. The node with the coordinator has the lock of the run
   * itself.
   *
   * @throws UserException if another process has it, or the run's folder cannot be written to
   */
  public RunLock lock() {
    return RunLock.acquire(runFolder(), "launch.lock");
  }

  /** The name of a node, counted from 1. */
  public static String name(int number) {
    return "node-" + number;
  }

  /**
   * The arguments of {@code troupe} for one node.
   *
   * @param number of the node, counted from 1
   * @param more overrides for this node alone
   */
  List<String> arguments(int number, List<String> more) {
    List<String> arguments = new ArrayList<>();
    arguments.addAll(List.of("node", config.toString(), ParentWatch.OPTION));
    arguments.addAll(overrides);
    if (!sets(overrides, "cluster.nodes")) {
      arguments.add("cluster.nodes=" + nodes());
    }
    if (run.cluster().threads() == 0) {
      // Each of N JVMs would start a thread for every core otherwise.
      int cores = Runtime.getRuntime().availableProcessors();
      arguments.add("cluster.threads=" + Math.max(1, cores / nodes()));
    }
    int gpus = CudaDevices.likelyCount();
    if (gpus > 1 && run.device().equals("cuda")) {
      // A process a GPU: what kills one takes one device, not the machine.
      arguments.add("device=\"cuda:" + (number - 1) % gpus + "\"");
    }
    arguments.add("cluster.name=" + name(number));
    arguments.add(PORT + "=" + ports.get(number - 1));
    arguments.add(seeds());
    arguments.addAll(more);
    return arguments;
  }

  private String seeds() {
    String host = run.cluster().host();
    return ports.stream()
        .map(port -> "\"" + host + ":" + port + "\"")
        .collect(Collectors.joining(",", "cluster.seeds=[", "]"));
  }

  /** Whether one of the overrides is of this key. */
  public static boolean sets(List<String> overrides, String key) {
    return overrides.stream().anyMatch(override -> override.split("=", 2)[0].strip().equals(key));
  }
}
