package troupe.coordinator.chaos;

import java.io.IOException;
import java.time.Duration;
import java.util.Iterator;
import java.util.concurrent.CancellationException;
import troupe.coordinator.launch.ChildNode;
import troupe.coordinator.launch.ClusterListener;
import troupe.coordinator.launch.Exit;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.LocalCluster;
import troupe.coordinator.launch.MergedLog;

/**
 * A run under faults, from the start of its nodes to the verdict. One fault at a time: the next
 * comes when the steps that the last one cost are made up for and training went on for a while.
 */
final class ChaosRun {
  /**
   * How long things may take before they count as failed.
   *
   * @param begin to the first step
   * @param recovery from a fault to a step that had not been committed before it
   * @param zombie from SIGCONT to the end of a node that the others gave up meanwhile
   * @param stop from the order to stop to the end of all nodes
   */
  record Limits(Duration begin, Duration recovery, Duration zombie, Duration stop) {
    static final Limits USUAL =
        new Limits(
            Duration.ofMinutes(3),
            Duration.ofMinutes(2),
            Duration.ofMinutes(1),
            Duration.ofMinutes(2));
  }

  private final LaunchPlan plan;
  private final ChaosSettings settings;
  private final Limits limits;
  private final FinalHashes hashes;
  private final MergedLog log;
  private final LocalCluster cluster;
  private final Saboteur saboteur;
  private final Onlooker onlooker;
  private final Diary diary;
  private final Episode episode;
  private volatile boolean interrupted;
  private volatile boolean ending;
  private long beginMs;

  ChaosRun(
      JavaCommand java,
      LaunchPlan plan,
      ChaosSettings settings,
      Limits limits,
      FinalHashes hashes,
      MergedLog log) {
    this.plan = plan;
    this.settings = settings;
    this.limits = limits;
    this.hashes = hashes;
    this.log = log;
    this.diary = new Diary(log);
    this.cluster = new LocalCluster(java, plan, new Watch());
    this.saboteur = new Saboteur(java, plan, cluster);
    this.onlooker = new Onlooker(new RunWatch(plan.runFolder()));
    this.episode =
        new Episode(limits.recovery, limits.zombie, saboteur, onlooker, diary, this::isOver);
  }

  /**
   * Runs, disturbs, stops and compares.
   *
   * @param faults what happens, in this order; the end of them ends the disturbance, too
   * @throws CancellationException if it was interrupted
   */
  ChaosVerdict run(Iterator<Disturbance> faults) throws InterruptedException, IOException {
    long endMs;
    try (cluster) {
      cluster.start();
      if (begin()) {
        disturb(faults);
      }
      endMs = Onlooker.nowMs();
      end();
    }
    stopIfInterrupted();
    return new Judge(plan, settings.seed(), hashes).judge(onlooker, diary, beginMs, endMs);
  }

  /** Ends the run without a verdict; the second time at once. */
  void interrupt() {
    boolean again = interrupted;
    interrupted = true;
    ending = true;
    if (again) {
      cluster.kill();
    } else {
      cluster.stop();
    }
  }

  private boolean begin() throws InterruptedException {
    boolean began =
        onlooker.await(limits.begin, () -> onlooker.highestStep() > 0 || isOver())
            && onlooker.highestStep() > 0;
    beginMs = diary.begin();
    if (!began) {
      diary.problem("no step was ever committed");
    }
    return began;
  }

  private void disturb(Iterator<Disturbance> faults) throws InterruptedException, IOException {
    long untilMs = beginMs + settings.length().toMillis();
    while (faults.hasNext() && Onlooker.nowMs() < untilMs) {
      Disturbance next = faults.next();
      if (onlooker.await(next.calm(), this::isOver) || Onlooker.nowMs() >= untilMs) {
        return;
      }
      if (!episode.goThrough(next)) {
        return;
      }
    }
  }

  private void end() throws InterruptedException {
    if (settings.toLastStep() && diary.problems().isEmpty()) {
      diary.say("no more faults; training on to the last step");
      awaitLastStep();
    }
    ending = true;
    cluster.stop();
    if (!cluster.awaitEnd(limits.stop)) {
      diary.problem(
          "nodes still there %d s after the order to stop".formatted(limits.stop.toSeconds()));
    }
    onlooker.await(Duration.ZERO, () -> true);
  }

  private void awaitLastStep() throws InterruptedException {
    long reached = -1;
    while (!isOver() && reached < onlooker.highestStep()) {
      long from = onlooker.highestStep();
      reached = from;
      onlooker.await(limits.recovery, () -> onlooker.highestStep() > from || isOver());
    }
    if (!isOver()) {
      diary.problem("no step any more after step " + reached);
    }
  }

  private boolean isOver() {
    return interrupted || cluster.alive().isEmpty();
  }

  private void stopIfInterrupted() {
    if (interrupted) {
      throw new CancellationException();
    }
  }

  private final class Watch implements ClusterListener {
    @Override
    public void line(ChildNode node, boolean isError, String line) {
      log.line(node.number(), isError, line);
    }

    @Override
    public void ended(ChildNode node, Exit exit) {
      log.note("chaos      %s %s".formatted(node.name(), exit));
      if (!ending && !saboteur.hasHit(node) && exit.code() != Exit.DONE) {
        diary.problem("%s %s by itself".formatted(node.name(), exit));
      }
    }
  }
}
