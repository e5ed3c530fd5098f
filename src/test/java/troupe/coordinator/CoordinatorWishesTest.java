package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import troupe.coordinator.PlayedRun.PlayedHost;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.placement.ExpertId;
import troupe.coordinator.placement.Place;

/** What people and processes may wish for: to move an expert, to leave, to stop. */
final class CoordinatorWishesTest {
  private static final ExpertId EXPERT = new ExpertId(0, 1);

  private final akka.actor.testkit.typed.javadsl.ActorTestKit kit =
      akka.actor.testkit.typed.javadsl.ActorTestKit.create();
  private final akka.actor.testkit.typed.javadsl.TestProbe<Host.Answer> answers =
      kit.createTestProbe();
  private PlayedRun run;
  private PlayedHost first;
  private PlayedHost second;

  @BeforeEach
  void play() {
    run = new PlayedRun("train.steps=9");
    first = run.host(1);
    second = run.host(2);
    run.start(first, second);
  }

  @AfterEach
  void stop() {
    run.close();
    kit.shutdownTestKit();
  }

  private void begin() {
    run.enter(1, first.holds(0), second.holds(0));
  }

  private Host.Answer move(int epoch, int expert, String toNode) {
    run.tell(new Host.MoveAsked(epoch, 1, 0, expert, toNode, answers.ref()));
    return answers.receiveMessage();
  }

  private String elsewhere(EpochPlan plan) {
    return plan.placement().experts().get(EXPERT).node() == 1 ? "node-2" : "node-1";
  }

  @Test
  void shouldMoveAnExpertAfterTheStepAtHand() throws Exception {
    begin();
    String from = elsewhere(run.plan()).equals("node-1") ? "node-2" : "node-1";
    String to = elsewhere(run.plan());
    run.collect(1, 1);
    assertInstanceOf(Host.Accepted.class, move(1, 1, to));
    run.expectNothing();
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    EpochPlan plan = run.enter(2, first.holds(1), second.holds(1));
    assertEquals(to, "node-" + plan.placement().experts().get(EXPERT).node());
    assertEquals(new RunEvent.ExpertMoved(EXPERT, from, to), run.only(RunEvent.ExpertMoved.class));
    run.commit(2, 2);
    assertEquals(List.of(1L, 2L), run.committed());
  }

  @Test
  void shouldMoveAnExpertToAnotherDevice() throws Exception {
    PlayedHost alone = run.host(3, 2);
    run.start(alone);
    run.enter(1, alone.holds(0));
    Place before = run.plan().placement().experts().get(EXPERT);
    Place after = new Place(3, 1 - before.device());
    run.collect(1, 1);
    // It is on that node already.
    assertInstanceOf(Host.Accepted.class, move(1, 1, "node-3"));
    Host.Refused nowhere = assertInstanceOf(Host.Refused.class, move(1, 1, "node-3:2"));
    assertTrue(nowhere.message().startsWith("node: node-3:2 (expected"), nowhere.message());
    assertInstanceOf(Host.Accepted.class, move(1, 1, "node-3:" + after.device()));
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    assertEquals(after, run.enter(2, alone.holds(1)).placement().experts().get(EXPERT));
    assertEquals(
        new RunEvent.ExpertMoved(EXPERT, "node-3:" + before.device(), "node-3:" + after.device()),
        run.only(RunEvent.ExpertMoved.class));
  }

  @Test
  void shouldRefuseToMoveWhatOrWhereThereIsNothing() throws Exception {
    begin();
    run.collect(1, 1);
    Host.Refused nowhere = assertInstanceOf(Host.Refused.class, move(1, 1, "node-9"));
    assertEquals("node: node-9 (expected: one of node-1, node-2)", nowhere.message());
    Host.Refused nobody = assertInstanceOf(Host.Refused.class, move(1, 7, "node-1"));
    assertTrue(nobody.message().startsWith("expert: 0/7"), nobody.message());
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    run.expectStep(1, 2);
  }

  /** A host that is ready passes wishes on, though others are not and the plan is made. */
  @Test
  void shouldRefuseToMoveAnythingOnTheWayIntoAnEpoch() throws Exception {
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    second.report(1);
    first.expectPrepare(1);
    second.expectPrepare(1);
    first.prepared(1);
    assertInstanceOf(Host.Refused.class, move(1, 1, "node-2"));
    second.prepared(1);
    run.collect(1, 1);
    assertEquals(List.of(), run.told(Outcome.class));
  }

  @Test
  void shouldRefuseToMoveAnythingAtTheEnd() throws Exception {
    begin();
    run.collect(1, 1);
    run.tell(new Coordinator.Stop());
    assertInstanceOf(Host.Refused.class, move(1, 1, "node-2"));
  }

  @Test
  void shouldStopWhenSomeoneAsksAtAHost() throws Exception {
    begin();
    run.collect(1, 1);
    run.tell(new Host.StopAsked(1, 2, answers.ref()));
    assertInstanceOf(Host.Accepted.class, answers.receiveMessage());
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    assertEquals(new Outcome.Stopped(1), run.only(Outcome.class));
    assertEquals(List.of(1L), run.begun());
  }

  @Test
  void shouldEmptyANodeThatWantsToLeaveAndLetItGo() throws Exception {
    begin();
    run.collect(1, 1);
    run.tell(new Host.Leaving(1, 2));
    run.tell(new Host.Leaving(1, 2));
    run.passTimers(Duration.ofMillis(500));
    run.expectNothing();
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    second.leaving = true;
    EpochPlan plan = run.enter(2, first.holds(1), second.holds(1));
    assertEquals(Set.of(1), plan.placement().nodesOfRanks());
    assertEquals("leaving: node-2", run.only(RunEvent.EpochBegan.class).cause());
    assertEquals(new Host.Release(2), second.expect(Host.Release.class));
    run.collect(2, 2);
    // It says so once more, because it was not heard, or has not heard.
    run.tell(new Host.Leaving(2, 2));
    assertEquals(new Host.Release(2), second.expect(Host.Release.class));
    assertInstanceOf(Host.Refused.class, move(2, 1, "node-2"));
    run.present(first);
    run.expectNothing();
    run.ready(2, 2);
    run.expectApply(2, 2);
    run.applied(2, 2);
    run.enter(3, first.holds(2));
    run.commit(3, 3);
    assertEquals(List.of(1L, 2L, 3L), run.committed());
    assertEquals(List.of(), run.told(RunEvent.RolledBack.class));
  }

  @Test
  void shouldHearOfANodeThatWantsToLeaveBeforeAnythingHasBegun() throws Exception {
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    second.report(1);
    first.expectPrepare(1);
    second.expectPrepare(1);
    run.tell(new Host.Leaving(1, 2));
    run.passTimers(Duration.ofMillis(500));
    second.leaving = true;
    first.prepared(1);
    second.prepared(1);
    // Step 0 may be on a disk, too: asked twice.
    for (int epoch = 2; epoch <= 3; epoch++) {
      first.holds(0).expectReport(epoch);
      second.expectReport(epoch);
      first.report(epoch);
      second.report(epoch);
    }
    EpochPlan plan = run.prepare(3, first, second);
    assertEquals(Set.of(1), plan.placement().nodesOfRanks());
    second.expect(Host.Release.class);
  }

  @Test
  void shouldStopWithACheckpointWhenAllNodesWantToLeave() throws Exception {
    begin();
    run.collect(1, 1);
    run.tell(new Host.Leaving(1, 2));
    run.tell(new Host.Leaving(1, 1));
    run.passTimers(Duration.ofMillis(500));
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    assertEquals(new Outcome.Stopped(1), run.only(Outcome.class));
    assertEquals(List.of(1L), run.begun());
    assertEquals(0, run.told(RunEvent.EpochBegan.class).size());
  }
}
