package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.coordinator.PlayedRun.Asked;
import troupe.coordinator.PlayedRun.PlayedHost;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.router.RouterActor;

/** How a run on two hosts begins, and how it goes on when one of them is lost in any phase. */
final class CoordinatorEpochsTest {
  private PlayedRun run;
  private PlayedHost first;
  private PlayedHost second;

  @AfterEach
  void stop() {
    run.close();
  }

  private void play(PlayedRun played) {
    run = played;
    first = run.host(1);
    second = run.host(2);
  }

  /** Both are in epoch 1, at step 0. */
  private void begin(PlayedRun played) {
    play(played);
    run.start(first, second);
    run.enter(1, first.holds(0), second.holds(0));
  }

  private void begin(String... overrides) {
    begin(new PlayedRun(overrides));
  }

  /** The second host is gone; the first goes on alone from {@code step}. */
  private void goOnAlone(int epoch, long step) {
    first.holds(step);
    drainTo(first, epoch);
    first.report(epoch);
    EpochPlan plan = run.prepare(epoch, first);
    assertEquals(step, plan.step());
    assertEquals(List.of(first.info), plan.nodes());
  }

  /** Skips what else was said until an epoch is. */
  private static void drainTo(PlayedHost host, int epoch) {
    while (true) {
      if (host.expect(Host.Command.class) instanceof Host.Report report) {
        assertEquals(epoch, report.epoch());
        return;
      }
    }
  }

  @Test
  void shouldWaitForAllNodesAndThenBegin() throws Exception {
    play(new PlayedRun("cluster.nodes=2"));
    run.start(first);
    first.expectReport(1);
    first.report(1);
    run.expectNothing();
    run.present(first, second);
    EpochPlan plan = run.enter(2, first, second);
    assertEquals(0, plan.step());
    assertEquals(
        new RunEvent.Began(0, List.of("node-1", "node-2")), run.only(RunEvent.Began.class));
    assertEquals(plan, run.only(EpochPlan.class));
    run.expectStep(2, 1);
  }

  @Test
  void shouldSayWhenTooFewNodesCome() throws Exception {
    play(new PlayedRun("cluster.nodes=3"));
    run.start(first, second);
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    second.report(1);
    run.pass(Duration.ofSeconds(60));
    assertEquals(List.of(), run.told(Outcome.class));
    run.pass(Duration.ofSeconds(1));
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertEquals("cluster.nodes: 2 came within 61 s (expected: 3)", failed.message());
    assertTrue(failed.hint().contains("lower cluster.nodes"), failed.hint());
    first.expect(Host.Finish.class);
  }

  @Test
  void shouldGoFurtherThanAnEpochThatAHostKnows() throws Exception {
    play(new PlayedRun());
    run.start(first, second);
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    run.tell(new Host.Stale(1, 2, 7));
    run.tell(new Host.Stale(1, 1, 7));
    EpochPlan plan = run.enter(8, first.holds(0), second.holds(0));
    assertEquals(8, plan.epoch());
    run.expectStep(8, 1);
    run.expectNothing();
  }

  /** It may have less than cluster.nodes: the run has begun. */
  @Test
  void shouldTakeOverFromAnotherCoordinator() throws Exception {
    play(new PlayedRun("cluster.nodes=2", "train.steps=40"));
    run.start(first, second);
    EpochPlan before = run.enter(1, first.holds(0), second.holds(0));
    run.commit(1, 1);
    run.expectStep(1, 2);
    // That one is dead with its node.
    run.start(second);
    second.expectReport(1);
    run.tell(new Host.Stale(1, 2, 1));
    assertTrue(second.expectReport(2).withDisk());
    second.holds(1).report(2);
    EpochPlan plan = run.prepare(2, second);
    assertEquals(1, plan.step());
    assertEquals(before.placement().experts().keySet(), plan.placement().experts().keySet());
    assertEquals(
        new RunEvent.CoordinatorMoved("node-2"), run.only(RunEvent.CoordinatorMoved.class));
    assertTrue(run.told(RunEvent.ExpertMoved.class).size() > 0);
    run.collect(2, 2);
  }

  /** Nobody but the one before knew that the last step is not on the disk. */
  @Test
  void shouldWriteTheLastStepWhenTheOneBeforeDiedBeforeItCould() throws Exception {
    play(new PlayedRun("train.steps=1").withoutWriting());
    run.start(first, second);
    run.enter(1, first.holds(0), second.holds(0));
    run.commit(1, 1);
    assertEquals(1, first.expect(Host.Checkpoint.class).writer());
    second.expect(Host.Checkpoint.class);
    run.start(second);
    second.expectReport(1);
    run.tell(new Host.Stale(1, 2, 1));
    second.holds(1).expectReport(2);
    second.report(2);
    run.prepare(2, second);
    assertEquals(new Host.Checkpoint(2, 1, 2), second.expect(Host.Checkpoint.class));
    assertEquals(List.of(), run.told(Outcome.class));
    run.tell(new Coordinator.CheckpointEnded(2, 1, null, null));
    assertEquals(new Outcome.Completed(1), run.only(Outcome.class));
  }

  @Test
  void shouldEndAtOnceWhenTheLastStepIsOnTheDisk() throws Exception {
    play(new PlayedRun("train.steps=1").withoutWriting());
    run.start(first);
    first.diskStep = 1;
    run.enter(1, first);
    assertEquals(new Outcome.Completed(1), run.only(Outcome.class));
    assertEquals(List.of(), run.begun());
  }

  @Test
  void shouldStopWithACheckpointWhenAskedToWhileItTakesOver() throws Exception {
    play(new PlayedRun().withoutWriting());
    run.start(first, second);
    run.enter(1, first.holds(0), second.holds(0));
    run.commit(1, 1);
    run.expectStep(1, 2);
    run.start(second);
    second.expectReport(1);
    run.tell(new Coordinator.Stop());
    run.tell(new Host.Stale(1, 2, 1));
    second.holds(1).expectReport(2);
    run.tell(new Coordinator.Stop());
    second.report(2);
    second.expectPrepare(2);
    run.tell(new Coordinator.Stop());
    second.prepared(2);
    assertEquals(1, second.expect(Host.Checkpoint.class).step());
    run.tell(new Coordinator.CheckpointEnded(2, 1, null, null));
    assertEquals(new Outcome.Stopped(1), run.only(Outcome.class));
  }

  @Test
  void shouldStopAtOnceWhenNothingHasBegun() throws Exception {
    play(new PlayedRun("cluster.nodes=2"));
    run.start(first);
    first.expectReport(1);
    first.report(1);
    run.settle();
    run.tell(new Coordinator.Stop());
    assertEquals(new Outcome.Stopped(0), run.only(Outcome.class));
    first.expect(Host.Finish.class);
  }

  @Test
  void shouldBeginAnewWhenAHostIsLostWhileTheyReport() throws Exception {
    begin();
    run.commit(1, 1);
    run.tell(1, new RouterActor.Restarted(1, 0, 2, "injected"));
    drainTo(first, 2);
    drainTo(second, 2);
    first.holds(1).report(2);
    run.present(first);
    goOnAlone(3, 1);
    second.holds(1).report(2);
    second.report(3);
    run.collect(3, 2);
  }

  @Test
  void shouldBeginAnewWhenAHostIsLostWhileTheyPrepare() throws Exception {
    play(new PlayedRun());
    run.start(first, second);
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    second.report(1);
    first.expectPrepare(1);
    second.expectPrepare(1);
    first.prepared(1);
    run.present(first);
    drainTo(first, 2);
    second.prepared(1);
    first.report(2);
    run.prepare(2, first);
    run.expectStep(2, 1);
    // Both had the plan: training had begun, as far as anyone can know.
    assertEquals(0, run.only(RunEvent.EpochBegan.class).step());
  }

  @Test
  void shouldRollBackWhenAHostIsLostWhileGradientsAreCollected() throws Exception {
    begin("train.steps=9", "evaluate.every=3", "evaluate.batches=1");
    run.commit(1, 1);
    run.commit(1, 2);
    run.collect(1, 3);
    run.present(first);
    goOnAlone(2, 1);
    assertEquals(new RunEvent.RolledBack(1, 2), run.only(RunEvent.RolledBack.class));
    assertEquals("lost node-2", run.only(RunEvent.EpochBegan.class).cause());
    run.ready(1, 3);
    run.commit(2, 2);
    RunEvent.Recovered recovered = run.only(RunEvent.Recovered.class);
    assertEquals(2, recovered.step());
    assertEquals(1, recovered.replayedSteps());
    assertEquals(List.of(1L, 2L, 2L), run.committed());
  }

  @Test
  void shouldGoBackToTheStepBeforeWhenAHostIsLostWhileTheyApply() throws Exception {
    begin();
    run.commit(1, 1);
    run.decide(1, 2);
    run.present(first);
    goOnAlone(2, 1);
    run.applied(1, 2);
    run.collect(2, 2);
    assertEquals(List.of(1L), run.committed());
  }

  /** Only the news of it was lost: the step counts, and its line is not missing. */
  @Test
  void shouldCommitADecidedStepThatAllHaveApplied() throws Exception {
    begin("evaluate.every=1", "evaluate.batches=1");
    run.decide(1, 1);
    run.present(first);
    goOnAlone(2, 1);
    assertEquals(List.of(1L), run.committed());
    assertEquals(List.of(), run.told(RunEvent.RolledBack.class));
    first.expectForRouters(RouterActor.Evaluate.class);
  }

  @Test
  void shouldValidateAgainWhenAHostIsLostMeanwhile() throws Exception {
    begin("evaluate.every=1", "evaluate.batches=1");
    run.commit(1, 1);
    run.settle();
    run.present(first);
    goOnAlone(2, 1);
    RouterActor.Evaluate evaluate = first.expectForRouters(RouterActor.Evaluate.class);
    assertEquals(2, evaluate.epoch());
  }

  @Test
  void shouldForgetAValidationOfAStepThatIsDoneAgain() throws Exception {
    begin("evaluate.every=2", "evaluate.batches=1");
    run.commit(1, 1);
    run.commit(1, 2);
    run.settle();
    run.present(first);
    goOnAlone(2, 1);
    run.commit(2, 2);
    first.expectForRouters(RouterActor.Evaluate.class);
  }

  @Test
  void shouldGenerateAgainWhenAHostIsLostMeanwhile() throws Exception {
    begin(
        new PlayedRun()
            .tasks(
                new RunTask.Generate(new int[] {1}, 1, -1, new troupe.router.Sampling(0, 0, 1))));
    run.settle();
    run.present(first);
    first.holds(0);
    drainTo(first, 2);
    first.report(2);
    drainTo(first, 3); // Step 0 may be on a disk, too.
    first.report(3);
    run.prepare(3, first);
    RouterActor.Generate again = (RouterActor.Generate) first.expect(Host.ToRouter.class).command();
    assertEquals(3, again.epoch());
  }

  /** The task to train was over, but what it had trained is not there any more. */
  @Test
  void shouldTrainAgainWhenAHostIsLostAtTheEnd() throws Exception {
    begin(new PlayedRun().withoutWriting());
    run.commit(1, 1);
    run.commit(1, 2);
    first.expect(Host.Checkpoint.class);
    run.present(first);
    goOnAlone(2, 1);
    assertEquals(new Asked("abort", 1, 2), run.told(Asked.class).getLast());
    run.tell(new Coordinator.CheckpointEnded(1, 2, "aborted", ""));
    run.commit(2, 2);
    assertEquals(new Host.Checkpoint(2, 2, 1), first.expect(Host.Checkpoint.class));
    run.tell(new Coordinator.CheckpointEnded(2, 2, null, null));
    assertEquals(new Outcome.Completed(2), run.only(Outcome.class));
    assertEquals(List.of(), run.told(String.class));
  }

  @Test
  void shouldRepeatTheLastCheckpointWhenAHostIsLostMeanwhile() throws Exception {
    begin(new PlayedRun("train.steps=1").withoutWriting());
    run.commit(1, 1);
    run.settle();
    run.present(first);
    goOnAlone(2, 1);
    assertEquals(new Host.Checkpoint(2, 1, 1), first.expect(Host.Checkpoint.class));
    assertEquals(List.of(), run.told(Outcome.class));
  }

  @Test
  void shouldNotDisturbAStepForANodeThatHadNothing() throws Exception {
    play(new PlayedRun());
    // More than there are ranks and experts.
    PlayedHost[] all = {first, second, run.host(3), run.host(4), run.host(5)};
    run.start(all);
    for (PlayedHost host : all) {
      host.holds(0);
    }
    run.enter(1, all);
    PlayedHost idle =
        Arrays.stream(all)
            .filter(host -> !host.hasRank() && !host.hasExpert())
            .findFirst()
            .orElseThrow();
    PlayedHost[] others =
        Arrays.stream(all).filter(host -> host != idle).toArray(PlayedHost[]::new);
    run.expectStep(1, 1);
    run.present(others);
    run.expectNothing();
    run.routed(1, 1, 0, 6, 2);
    run.routed(1, 1, 1, 6, 2);
    run.expectLoad(1, 1);
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    assertEquals(List.of(1L), run.committed());
    for (PlayedHost host : others) {
      host.holds(1);
    }
    assertEquals(others.length, run.enter(2, others).nodes().size());
    assertEquals("lost " + idle.info.name(), run.only(RunEvent.EpochBegan.class).cause());
  }

  @Test
  void shouldTakeANodeInAtTheNextBoundary() throws Exception {
    play(new PlayedRun("train.steps=9"));
    run.start(first);
    run.enter(1, first.holds(0));
    run.collect(1, 1);
    run.present(first, second);
    run.expectNothing();
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    EpochPlan plan = run.enter(2, first.holds(1), second.holds());
    assertEquals(1, plan.step());
    assertEquals("nodes joined", run.only(RunEvent.EpochBegan.class).cause());
    assertTrue(plan.placement().nodesOfExperts().contains(2) || second.hasRank());
    run.commit(2, 2);
    assertEquals(0, run.only(RunEvent.Recovered.class).replayedSteps());
  }

  /** Each begins an epoch, and none is a sign that a step cannot be done. */
  @Test
  void shouldBearManyNodesThatComeOneByOne() throws Exception {
    play(new PlayedRun("train.steps=9"));
    run.start(first);
    run.enter(1, first.holds(0));
    run.commit(1, 1);
    run.expectStep(1, 2);
    PlayedHost[] all = {first};
    run.present(first, second);
    run.settle();
    run.routed(1, 2, 0, 6, 2);
    run.routed(1, 2, 1, 6, 2);
    run.expectLoad(1, 2);
    run.ready(1, 2);
    run.expectApply(1, 2);
    run.applied(1, 2);
    all = new PlayedHost[] {first, second};
    for (int epoch = 2; epoch < 9; epoch++) {
      for (PlayedHost host : all) {
        host.holds(2).expectReport(epoch);
        host.report(epoch);
      }
      for (PlayedHost host : all) {
        host.expectPrepare(epoch);
      }
      PlayedHost next = run.host(10 + epoch);
      PlayedHost[] more = Arrays.copyOf(all, all.length + 1);
      more[all.length] = next;
      run.present(more);
      run.settle();
      for (PlayedHost host : all) {
        host.prepared(epoch);
      }
      all = more;
    }
    run.enter(9, all);
    run.expectStep(9, 3);
    assertEquals(List.of(), run.told(Outcome.class));
  }

  @Test
  void shouldAskAgainWhoDoesNotReportOrPrepare() throws Exception {
    play(new PlayedRun());
    run.start(first, second);
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    run.pass(Duration.ofSeconds(10));
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    second.report(1);
    first.expectPrepare(1);
    second.expectPrepare(1);
    run.tell(new Host.Preparing(1, 2, "3 shards", List.of(1)));
    first.prepared(1);
    run.pass(Duration.ofSeconds(10));
    first.expectPrepare(1);
    second.expectPrepare(1);
    first.prepared(1);
    assertFalse(run.told(EpochPlan.class).size() > 0);
    second.prepared(1);
    run.expectStep(1, 1);
  }

  @Test
  void shouldFailNamingAConnectionThatNeverComesUp() throws Exception {
    play(new PlayedRun());
    run.start(first, second);
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    second.report(1);
    first.prepared(1);
    for (int second = 0; second < 31; second++) {
      run.tell(new Host.Preparing(1, 2, "a connection to node-1", List.of(1)));
      run.pass(Duration.ofSeconds(1));
    }
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertTrue(
        failed.message().endsWith("node=node-2 (which waits for a connection to node-1)"),
        failed.message());
    assertFalse(failed.message().contains("node=node-1"), failed.message());
  }

  /** A host that works already says so before the others do. */
  @Test
  void shouldDoNothingOfWhatItIsToldOnTheWayIntoAnEpoch() throws Exception {
    play(new PlayedRun());
    run.start(first, second);
    first.expectReport(1);
    second.expectReport(1);
    first.report(1);
    second.report(1);
    first.expectPrepare(1);
    second.expectPrepare(1);
    first.prepared(1);
    run.tell(1, new troupe.expert.ExpertActor.Restarted(0, 1, 2, -1, "injected"));
    run.tell(new Host.Replicated(1, 1, 0, 0));
    run.tell(new Coordinator.CheckpointEnded(1, 1, null, null));
    run.expectNothing();
    second.prepared(1);
    run.collect(1, 1);
  }
}
