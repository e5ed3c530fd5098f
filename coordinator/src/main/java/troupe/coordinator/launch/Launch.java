package troupe.coordinator.launch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.concurrent.TimeUnit;
import troupe.coordinator.metrics.MetricsLog;
import troupe.core.UserException;
import troupe.core.checkpoint.RunLock;

/**
 * {@code troupe launch}: a local cluster from its start to the end of its run, with what a person
 * sees of it. One run only.
 */
public final class Launch {
  private static final int REPORTED_ERROR_LINES = 5;

  /** Time for the other nodes to end as well: then the run is over, and nobody comes back. */
  private static final Duration RESTART_DELAY = Duration.ofSeconds(2);

  /** A node that dies younger than this has no better luck the next time. */
  private static final Duration FIRM = Duration.ofSeconds(30);

  private static final int MOST_EARLY_DEATHS = 3;

  private final LaunchPlan plan;
  private final MergedLog log;
  private final boolean restarts;
  private final int[] earlyDeaths;
  private final Instant start = Instant.now();
  private final LocalCluster cluster;
  private boolean stopping;
  private boolean mistaken;

  /**
   * A launch to be run.
   *
   * @param restarts whether nodes that die are started again
   */
  public Launch(JavaCommand java, LaunchPlan plan, MergedLog log, boolean restarts) {
    this.plan = plan;
    this.log = log;
    this.restarts = restarts;
    this.earlyDeaths = new int[plan.nodes() + 1];
    this.cluster = new LocalCluster(java, plan, new Watch());
  }

  /**
   * Starts the nodes and waits for the end of all.
   *
   * @return the exit code of the run, as {@link LocalCluster#outcome} has it
   * @throws UserException if the run's folder is in use, or the machine too small
   */
  public int run() throws InterruptedException {
    LaunchChecks.check(plan);
    try (RunLock _ = plan.lock()) {
      log.note("launch     %d nodes, run %s".formatted(plan.nodes(), plan.runFolder()));
      try (cluster) {
        cluster.start();
        cluster.awaitEnd();
        return isMistaken() ? Exit.MISTAKE : cluster.outcome();
      } finally {
        log.close();
      }
    }
  }

  /** The first time asks all nodes to stop with a checkpoint, the second time kills them. */
  public void interrupt() {
    boolean again;
    synchronized (this) {
      again = stopping;
      stopping = true;
    }
    if (again) {
      log.warn("launch     killing all nodes");
      cluster.kill();
    } else {
      log.note("launch     stopping: finishing the step and writing a checkpoint; again to kill");
      cluster.stop();
    }
  }

  private synchronized void onMistake() {
    mistaken = true;
    stopping = true;
    cluster.stop();
  }

  private synchronized boolean isMistaken() {
    return mistaken;
  }

  private synchronized boolean isStopping() {
    return stopping;
  }

  private final class Watch implements ClusterListener {
    @Override
    public void started(ChildNode node) {
      log.note(
          "launch     %s: process %d, port %d"
              .formatted(node.name(), node.pid(), plan.ports().get(node.number() - 1)));
    }

    @Override
    public void line(ChildNode node, boolean isError, String line) {
      log.line(node.number(), isError, line);
    }

    @Override
    public void ended(ChildNode node, Exit exit) {
      if (isStopping() || !exit.isDeath()) {
        log.note("launch     %s %s".formatted(node.name(), exit));
        return;
      }
      tell(node, exit);
      try {
        if (exit.code() == Exit.MISTAKE && !hasBegun()) {
          // The others would wait for it in vain, or make the same mistake.
          onMistake();
        } else if (restarts && exit.code() != Exit.MISTAKE) {
          restart(node);
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }

    private void tell(ChildNode node, Exit exit) {
      List<String> last = node.errorLines(REPORTED_ERROR_LINES);
      log.warn(
          "launch     %s %s after %d s; its last words:%s"
              .formatted(
                  node.name(),
                  exit,
                  node.age().toSeconds(),
                  last.isEmpty() ? " none" : "\n           " + String.join("\n           ", last)));
    }

    /**
     * Blocks the thread that watches the dead process: the cluster counts it as living till then.
     */
    private void restart(ChildNode node) throws InterruptedException {
      int early = node.age().compareTo(FIRM) < 0 ? ++earlyDeaths[node.number()] : 0;
      earlyDeaths[node.number()] = early;
      if (early >= MOST_EARLY_DEATHS) {
        log.warn("launch     %s died %d times in a row: left dead".formatted(node.name(), early));
        return;
      }
      TimeUnit.NANOSECONDS.sleep(RESTART_DELAY.toNanos());
      if (!isStopping() && !cluster.alive().isEmpty()) {
        try {
          cluster.restart(node.number(), List.of(), List.of());
        } catch (IllegalStateException e) {
          // Told to stop in the meantime.
        } catch (UserException e) {
          log.warn("launch     %s left dead: %s".formatted(node.name(), e.getMessage()));
        }
      }
    }

    private boolean hasBegun() {
      Path metrics = plan.runFolder().resolve(MetricsLog.FILE_NAME);
      try {
        return Files.exists(metrics)
            && Files.size(metrics) > 0
            && Files.getLastModifiedTime(metrics).toInstant().isAfter(start);
      } catch (IOException e) {
        return false;
      }
    }
  }
}
