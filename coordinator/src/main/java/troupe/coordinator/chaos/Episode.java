package troupe.coordinator.chaos;

import java.io.IOException;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.function.BooleanSupplier;
import troupe.coordinator.chaos.Disturbance.Kind;
import troupe.coordinator.launch.ChildNode;

/** One fault after the other, each until the steps that it cost are made up for. */
final class Episode {
  /** For a moment after a failover nobody is known to have the coordinator. */
  private static final Duration VICTIMS_TIMEOUT = Duration.ofSeconds(10);

  private final Duration recoveryTimeout;
  private final Duration zombieTimeout;
  private final Saboteur saboteur;
  private final Onlooker onlooker;
  private final Diary diary;
  private final BooleanSupplier isOver;

  /**
   * Faults to one run.
   *
   * @param isOver whether no node is left, or nobody wants to know any more
   */
  Episode(
      Duration recoveryTimeout,
      Duration zombieTimeout,
      Saboteur saboteur,
      Onlooker onlooker,
      Diary diary,
      BooleanSupplier isOver) {
    this.recoveryTimeout = recoveryTimeout;
    this.zombieTimeout = zombieTimeout;
    this.saboteur = saboteur;
    this.onlooker = onlooker;
    this.diary = diary;
    this.isOver = isOver;
  }

  /** Whether training goes on after it. */
  boolean goThrough(Disturbance disturbance) throws InterruptedException, IOException {
    Kind kind = disturbance.kind();
    List<ChildNode> victims = awaitVictims(disturbance);
    if (isOver.getAsBoolean()) {
      return false;
    }
    if (victims.isEmpty()) {
      diary.problem(kind.words() + ": nobody whom it may hit; it was left out");
      return true;
    }
    long struckMs = Onlooker.nowMs();
    Recovery fault = onlooker.fault(kind, Saboteur.names(victims));
    Optional<String> done;
    try {
      done = strike(disturbance, victims);
    } catch (IllegalStateException e) {
      // It died, or was told to stop, between the choice and the blow.
      onlooker.forget(fault);
      diary.problem(kind.words() + ": " + e.getMessage());
      return !isOver.getAsBoolean();
    }
    if (done.isEmpty()) {
      onlooker.forget(fault);
      if (!isOver.getAsBoolean()) {
        diary.problem("move: refused by every node; see moves.log in the run's folder");
      }
      return !isOver.getAsBoolean();
    }
    String what = kind.words() + ": " + done.get();
    diary.say("%s", what);
    onlooker.await(recoveryTimeout, () -> fault.isRegained() || isOver.getAsBoolean());
    if (kind.isPause()) {
      wake(victims.getFirst(), struckMs + disturbance.length().toMillis());
    }
    if (kind == Kind.LEAVE && fault.isRegained()) {
      awaitEnd(victims.getFirst(), "it was asked to go");
    }
    if (!fault.isRegained() && saboteur.runIsComplete()) {
      onlooker.forget(fault);
      diary.say("the run is complete");
      return false;
    }
    if (!fault.isRegained()) {
      diary.problem(
          isOver.getAsBoolean()
              ? what + ": no node was left"
              : what + ": no new step within " + recoveryTimeout.toSeconds() + " s");
      return false;
    }
    tell(fault.result(struckMs));
    return true;
  }

  private List<ChildNode> awaitVictims(Disturbance disturbance) throws InterruptedException {
    onlooker.await(
        VICTIMS_TIMEOUT, () -> isOver.getAsBoolean() || !saboteur.victims(disturbance).isEmpty());
    return saboteur.victims(disturbance);
  }

  /** What was done to whom; empty if it could not be done. */
  private Optional<String> strike(Disturbance disturbance, List<ChildNode> victims)
      throws InterruptedException, IOException {
    switch (disturbance.kind()) {
      case KILL_WORKER, KILL_COORDINATOR, KILL_TWO -> saboteur.kill(victims);
      case PAUSE_WORKER, PAUSE_COORDINATOR -> saboteur.pause(victims.getFirst());
      case LEAVE -> saboteur.leave(victims.getFirst());
      case REJOIN -> saboteur.rejoin(victims.getFirst(), false);
      case REJOIN_LOSSY -> saboteur.rejoin(victims.getFirst(), true);
      case MOVE -> {
        return saboteur.move(disturbance.pick(), victims);
      }
      case EXPERT_THROWS -> throw new IllegalStateException(disturbance.toString());
    }
    return Optional.of(Saboteur.names(victims));
  }

  /** The others gave the node up: it has to find that out and end. */
  private void wake(ChildNode zombie, long atMs) throws InterruptedException {
    onlooker.await(Duration.ofMillis(Math.max(0, atMs - Onlooker.nowMs())), isOver);
    zombie.resume();
    diary.say("  %s wakes up", zombie.name());
    awaitEnd(zombie, "its pause is over, and the others gave it up");
  }

  private void awaitEnd(ChildNode node, String since) throws InterruptedException {
    if (!onlooker.await(zombieTimeout, () -> !node.isAlive())) {
      diary.problem(
          "%s: still there %d s after %s (expected: gone)"
              .formatted(node.name(), zombieTimeout.toSeconds(), since));
      node.kill();
    }
    node.awaitExit(zombieTimeout);
  }

  private void tell(FaultResult result) {
    diary.say(
        "  next step after %.1f s, new step after %.1f s, %d replayed",
        result.recoveredSeconds().orElseThrow(),
        result.regainedSeconds().orElseThrow(),
        result.replayed());
  }
}
