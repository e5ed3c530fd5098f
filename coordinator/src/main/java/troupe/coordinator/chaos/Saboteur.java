package troupe.coordinator.chaos;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import troupe.coordinator.events.NodesFile;
import troupe.coordinator.launch.ChildNode;
import troupe.coordinator.launch.Exit;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.LocalCluster;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

/** Finds whom a fault hits and does it to them. */
final class Saboteur {
  private static final Duration MOVE_TIMEOUT = Duration.ofMinutes(1);
  private static final Duration KILL_TIMEOUT = Duration.ofSeconds(10);

  /** Aeron's own debugging endpoint throws away one in a hundred of the packets it receives. */
  private static final List<String> LOSS =
      List.of(
          "-Daeron.ReceiveChannelEndpoint.supplier"
              + "=io.aeron.driver.ext.DebugReceiveChannelEndpointSupplier",
          "-Daeron.debug.receive.data.loss.rate=0.01",
          "-Daeron.debug.receive.data.loss.seed=7");

  private final JavaCommand java;
  private final LaunchPlan plan;
  private final LocalCluster cluster;
  private final Set<ChildNode> hit = ConcurrentHashMap.newKeySet();

  Saboteur(JavaCommand java, LaunchPlan plan, LocalCluster cluster) {
    this.java = java;
    this.plan = plan;
    this.cluster = cluster;
  }

  /** Whether a node's end is this one's doing. */
  boolean hasHit(ChildNode node) {
    return hit.contains(node);
  }

  /** Whether all nodes are gone because there was no step left to do. */
  boolean runIsComplete() {
    return cluster.alive().isEmpty() && cluster.outcome() == Exit.DONE;
  }

  /**
   * Those whom a fault hits, by number; empty if there is nobody whom it may hit now. For a move:
   * to whom, in the order in which to try.
   */
  List<ChildNode> victims(Disturbance disturbance) {
    List<ChildNode> alive = cluster.alive();
    Optional<ChildNode> coordinator = coordinator(alive);
    List<ChildNode> workers =
        alive.stream().filter(node -> !coordinator.equals(Optional.of(node))).toList();
    if (disturbance.kind().deaths() > ChaosPlan.mostDeaths(alive.size())) {
      return List.of();
    }
    return switch (disturbance.kind()) {
      case KILL_WORKER, PAUSE_WORKER ->
          coordinator.isPresent() ? pick(workers, disturbance.pick(), 1) : List.of();
      case KILL_COORDINATOR, PAUSE_COORDINATOR -> coordinator.stream().toList();
      case KILL_TWO -> pick(alive, disturbance.pick(), 2);
      case LEAVE -> pick(alive, disturbance.pick(), 1);
      case REJOIN, REJOIN_LOSSY ->
          pick(
              cluster.nodes().stream().filter(node -> !node.isAlive()).toList(),
              disturbance.pick(),
              1);
      case MOVE -> pick(alive, disturbance.pick(), alive.size());
      case EXPERT_THROWS -> List.of();
    };
  }

  /** Kills them as nearly at once as one can. */
  void kill(List<ChildNode> victims) throws InterruptedException {
    hit.addAll(victims);
    victims.forEach(ChildNode::kill);
    for (ChildNode victim : victims) {
      if (!victim.awaitExit(KILL_TIMEOUT)) {
        throw new IllegalStateException(victim.name() + " outlived kill -9 (expected: dead)");
      }
    }
  }

  /** Halts one; {@link ChildNode#resume} wakes it up. */
  void pause(ChildNode victim) {
    hit.add(victim);
    victim.pause();
  }

  /** Asks one to go. */
  void leave(ChildNode victim) {
    hit.add(victim);
    victim.terminate();
  }

  /** Starts one again that died. */
  void rejoin(ChildNode dead, boolean lossy) {
    cluster.restart(dead.number(), lossy ? LOSS : List.of(), List.of());
  }

  /**
   * Moves an expert to the first of some nodes that has not got it already.
   *
   * @return what was done, or empty if it was refused
   */
  Optional<String> move(int pick, List<ChildNode> targets)
      throws IOException, InterruptedException {
    List<Integer> layers = expertLayers(plan.run());
    int layer = layers.get(pick % layers.size());
    int expert = pick / layers.size() % plan.run().experts().count();
    for (ChildNode target : targets) {
      int code = move(layer + "/" + expert, target.name());
      if (code == Exit.DONE) {
        return Optional.of("expert %d/%d to %s".formatted(layer, expert, target.name()));
      }
      if (code != Exit.MISTAKE) {
        return Optional.empty();
      }
    }
    return Optional.empty();
  }

  private int move(String expert, String target) throws IOException, InterruptedException {
    List<String> arguments =
        List.of("move", plan.runFolder().toString(), "--expert", expert, "--to", target);
    Process process =
        new ProcessBuilder(java.words(arguments))
            .redirectErrorStream(true)
            .redirectOutput(
                ProcessBuilder.Redirect.appendTo(plan.runFolder().resolve("moves.log").toFile()))
            .start();
    if (!process.waitFor(MOVE_TIMEOUT.toSeconds(), TimeUnit.SECONDS)) {
      process.destroyForcibly();
      return -1;
    }
    return process.exitValue();
  }

  /** The layers that have experts. */
  static List<Integer> expertLayers(RunConfig run) {
    return run.model().moeLayers();
  }

  /** Empty as long as nobody of the living is known to have it. */
  private Optional<ChildNode> coordinator(List<ChildNode> alive) {
    try {
      return NodesFile.read(plan.runFolder().resolve(NodesFile.FILE_NAME))
          .coordinator()
          .flatMap(node -> alive.stream().filter(child -> child.pid() == node.pid()).findFirst());
    } catch (UserException e) {
      return Optional.empty();
    }
  }

  private static List<ChildNode> pick(List<ChildNode> from, int pick, int count) {
    if (from.size() < count) {
      return List.of();
    }
    List<ChildNode> picked = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      picked.add(from.get((pick % from.size() + i) % from.size()));
    }
    return picked;
  }

  /** Names of some, for people. */
  static String names(List<ChildNode> nodes) {
    return nodes.stream().map(ChildNode::name).collect(Collectors.joining(" and "));
  }
}
