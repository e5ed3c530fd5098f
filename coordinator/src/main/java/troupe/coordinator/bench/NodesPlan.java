package troupe.coordinator.bench;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.host.ReplicaRing;
import troupe.coordinator.launch.LaunchPlan;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/**
 * What is run to see what it costs to spread a training over nodes.
 *
 * @param run the user's config, whose {@code train.steps} do not count
 * @param config its file
 * @param overrides the user's, each {@code KEY=VALUE}
 * @param nodes over which it is spread
 * @param pairs how often each way is measured
 * @param warmUp steps before those that are timed
 * @param steps that are timed
 */
public record NodesPlan(
    RunConfig run,
    Path config,
    List<String> overrides,
    int nodes,
    int pairs,
    int warmUp,
    int steps) {
  /** Copies the overrides. */
  public NodesPlan {
    overrides = List.copyOf(overrides);
  }

  /**
   * Reads the config.
   *
   * @throws UserException if something of it is wrong
   */
  public static NodesPlan of(
      Path config, List<String> overrides, int nodes, int pairs, int warmUp, int steps) {
    atLeast("--nodes", nodes, 2);
    atLeast("--pairs", pairs, 1);
    // Time is taken from the commit of the step before.
    atLeast("--warmup", warmUp, 1);
    atLeast("--steps", steps, 1);
    NodesPlan plan =
        new NodesPlan(
            ConfigLoader.load(config, overrides), config, overrides, nodes, pairs, warmUp, steps);
    if (plan.threads() % nodes != 0) {
      throw new UserException(
          "cluster.threads: %d (expected: a multiple of --nodes %d, so that all ways have as many)"
              .formatted(plan.threads(), nodes),
          "cluster.threads=" + Math.ceilDiv(plan.threads(), nodes) * nodes);
    }
    if (plan.run.replicate().every() == 0) {
      throw new UserException(
          "replicate.every: 0 (expected: >= 1, for copies to have a cost)", "replicate.every=10");
    }
    return plan;
  }

  /** Compute threads of all processes of a run. */
  public int threads() {
    return ComputeThreads.count(run.cluster().threads());
  }

  /** Tokens of a step, of all ranks. */
  public long tokensPerStep() {
    return (long) run.train().batch() * run.model().seq();
  }

  /** Nodes beside its owner that keep a shard. Of two nodes none would, unless asked to. */
  public int copies() {
    return Math.max(1, ReplicaRing.copies(run.replicate(), nodes));
  }

  /** The last step of each run. */
  int lastStep() {
    return Math.addExact(warmUp, steps);
  }

  /** The nodes of a run that is spread over many. */
  LaunchPlan launch(Spread spread, Path runFolder) {
    return LaunchPlan.of(config, overrides(spread, runFolder), nodes);
  }

  /** The user's overrides, and those that leave nothing but steps to time. */
  List<String> overrides(Spread spread, Path runFolder) {
    List<String> all = new ArrayList<>(overrides);
    all.addAll(
        List.of(
            "run.dir=" + runFolder,
            "run.resume=false",
            "train.steps=" + lastStep(),
            // A line after the warm-up, from which the time is taken, and few others.
            "train.log_every=" + warmUp,
            "evaluate.every=0",
            "checkpoint.every=0",
            "generate.prompts=[]",
            "faults.expert_throws=[]"));
    if (spread == Spread.ONE) {
      all.add("cluster.threads=" + threads());
    } else {
      all.add("cluster.nodes=" + nodes);
      all.add("cluster.threads=" + threads() / nodes);
    }
    if (spread == Spread.COPIES) {
      all.add("replicate.copies=" + copies());
    } else {
      all.add("replicate.every=0");
    }
    return all;
  }

  private static void atLeast(String option, int found, int least) {
    if (found < least) {
      throw new UserException(
          "%s: %d (expected: >= %d)".formatted(option, found, least), option + " " + least);
    }
  }
}
