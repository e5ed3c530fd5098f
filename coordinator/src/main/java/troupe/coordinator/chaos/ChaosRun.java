package troupe.coordinator.chaos;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CancellationException;
import troupe.coordinator.launch.ChildNode;
import troupe.coordinator.launch.ClusterListener;
import troupe.coordinator.launch.Exit;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.LocalCluster;
import troupe.coordinator.launch.MergedLog;
import troupe.core.UserException;

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
  private final List<String> problems = Collections.synchronizedList(new ArrayList<>());
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
    this.cluster = new LocalCluster(java, plan, new Watch());
    this.saboteur = new Saboteur(java, plan, cluster);
    this.onlooker = new Onlooker(new RunWatch(plan.runFolder()));
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
    return verdict(endMs);
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
    beginMs = Onlooker.nowMs();
    if (!began) {
      problem("no step was ever committed");
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
      if (!disturb(next)) {
        return;
      }
    }
  }

  /** Whether training went on after it. */
  private boolean disturb(Disturbance disturbance) throws InterruptedException, IOException {
    List<ChildNode> victims = awaitVictims(disturbance);
    String what = disturbance.kind().words() + ": " + Saboteur.names(victims);
    if (victims.isEmpty()) {
      problem(disturbance.kind().words() + ": nobody whom it may hit; it was left out");
      return true;
    }
    Recovery fault = onlooker.fault(disturbance.kind(), Saboteur.names(victims));
    long struckMs = Onlooker.nowMs();
    if (disturbance.kind() == Disturbance.Kind.MOVE) {
      var moved = saboteur.move(disturbance.pick(), victims);
      if (moved.isEmpty()) {
        onlooker.forget(fault);
        problem("move: refused by every node; see moves.log in the run's folder");
        return true;
      }
      what = "move: " + moved.get();
    } else {
      strike(disturbance, victims);
    }
    say(what);
    boolean regained = onlooker.await(limits.recovery, () -> fault.isRegained() || isOver());
    if (disturbance.kind().isPause()) {
      wake(victims.getFirst(), struckMs + disturbance.length().toMillis());
    }
    if (!regained) {
      problem("%s: no new step within %d s".formatted(what, limits.recovery.toSeconds()));
      return false;
    }
    if (!fault.isRegained()) {
      return false;
    }
    FaultResult result = fault.result(beginMs);
    say(
        "  next step after %.1f s, new step after %.1f s, %d replayed",
        result.recoveredSeconds().orElseThrow(),
        result.regainedSeconds().orElseThrow(),
        result.replayed());
    return true;
  }

  /** For a moment after a failover nobody may be known to have the coordinator. */
  private List<ChildNode> awaitVictims(Disturbance disturbance) throws InterruptedException {
    onlooker.await(
        Duration.ofSeconds(10), () -> isOver() || !saboteur.victims(disturbance).isEmpty());
    return saboteur.victims(disturbance);
  }

  private void strike(Disturbance disturbance, List<ChildNode> victims)
      throws InterruptedException {
    switch (disturbance.kind()) {
      case KILL_WORKER, KILL_COORDINATOR, KILL_TWO -> saboteur.kill(victims);
      case PAUSE_WORKER, PAUSE_COORDINATOR -> saboteur.pause(victims.getFirst());
      case REJOIN -> saboteur.rejoin(victims.getFirst(), false);
      case REJOIN_LOSSY -> saboteur.rejoin(victims.getFirst(), true);
      case MOVE, EXPERT_THROWS -> throw new IllegalStateException(disturbance.toString());
    }
  }

  /** The others gave the node up: it has to find that out and end. */
  private void wake(ChildNode zombie, long atMs) throws InterruptedException {
    onlooker.await(Duration.ofMillis(Math.max(0, atMs - Onlooker.nowMs())), this::isInterrupted);
    zombie.resume();
    say("  %s wakes up", zombie.name());
    if (!onlooker.await(limits.zombie, () -> !zombie.isAlive())) {
      problem(
          "%s: still there %d s after its pause (expected: gone, for the others gave it up)"
              .formatted(zombie.name(), limits.zombie.toSeconds()));
      zombie.kill();
    }
    zombie.awaitExit(limits.zombie);
  }

  private void end() throws InterruptedException {
    if (settings.toLastStep() && problems.isEmpty()) {
      say("no more faults; training on to the last step");
      awaitLastStep();
    }
    ending = true;
    cluster.stop();
    if (!cluster.awaitEnd(limits.stop)) {
      problem("nodes still there %d s after the order to stop".formatted(limits.stop.toSeconds()));
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
      problem("no step any more after step " + reached);
    }
  }

  private ChaosVerdict verdict(long endMs) throws InterruptedException, IOException {
    String hash = "";
    String expected = "";
    long steps = 0;
    try {
      FinalHashes.Final end = hashes.disturbed(plan.runFolder());
      hash = end.hash();
      steps = end.step();
      if (steps < onlooker.highestStep()) {
        problem(
            "the last checkpoint is of step %d (expected: %d, the last one committed)"
                .formatted(steps, onlooker.highestStep()));
      }
      expected = hashes.undisturbed(steps);
    } catch (UserException e) {
      problem(e.getMessage());
    }
    List<FaultResult> faults = onlooker.results(beginMs);
    faults.forEach(this::checkReplayed);
    ChaosVerdict verdict =
        new ChaosVerdict(
            settings.seed(),
            plan.nodes(),
            (endMs - beginMs) / 1e3,
            steps,
            onlooker.trainingShare(beginMs, endMs),
            plan.run().replicate().every(),
            faults,
            hash,
            expected,
            problems);
    Path file = Files.createDirectories(plan.runFolder()).resolve(ChaosVerdict.FILE_NAME);
    Files.writeString(file, verdict.json() + "\n");
    return verdict;
  }

  private void checkReplayed(FaultResult fault) {
    int most = plan.run().replicate().every();
    if (most > 0 && fault.replayed() > most) {
      problem(
          "%s of %s: %d steps replayed (expected: <= replicate.every = %d)"
              .formatted(fault.kind().words(), fault.who(), fault.replayed(), most));
    }
  }

  private boolean isOver() {
    return interrupted || cluster.alive().isEmpty();
  }

  private boolean isInterrupted() {
    return interrupted;
  }

  private void stopIfInterrupted() {
    if (interrupted) {
      throw new CancellationException();
    }
  }

  private void problem(String problem) {
    problems.add(problem);
    log.warn("chaos      problem: " + problem);
  }

  private void say(String format, Object... arguments) {
    log.note(
        String.format(
            Locale.ROOT,
            "chaos      %7.1f s  %s",
            (Onlooker.nowMs() - beginMs) / 1e3,
            arguments.length == 0 ? format : String.format(Locale.ROOT, format, arguments)));
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
        problem("%s %s by itself".formatted(node.name(), exit));
      }
    }
  }
}
