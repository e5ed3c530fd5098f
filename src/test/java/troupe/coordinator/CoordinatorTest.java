package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.coordinator.PlayedRun.Asked;
import troupe.coordinator.PlayedRun.PlayedHost;
import troupe.coordinator.PlayedRun.Text;
import troupe.coordinator.PlayedRun.Validated;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.Host;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.Sampling;

/** The steps of a run on one host. */
final class CoordinatorTest {
  private PlayedRun run;
  private PlayedHost host;

  @AfterEach
  void stop() {
    run.close();
  }

  /** Everybody is in epoch 1, at step 0. */
  private void begin(String... overrides) {
    begin(new PlayedRun(overrides));
  }

  private void begin(PlayedRun played) {
    run = played;
    host = run.host(1);
    run.start(host);
    run.enter(1, host.holds(0));
  }

  /** A report that looked at disks first, if there was nothing else to go on from. */
  private void enter(int epoch, long step) {
    host.holds(step);
    host.expectReport(epoch);
    host.report(epoch);
    run.prepare(epoch, host);
  }

  @Test
  void shouldCommitAStepWhenEverybodyHasAppliedIt() throws Exception {
    begin();
    run.collect(1, 1);
    run.ready(1, 1);
    ExpertActor.Apply apply = run.expectApply(1, 1);
    // Four owners with a squared norm of one each.
    assertEquals(1 / (2 + 1e-6), apply.hyper().gradientScale());
    run.applied(1, 1);
    StepReport report = run.only(StepReport.class);
    assertEquals(1, report.step());
    assertEquals(2, report.gradNorm());
    assertEquals(2, report.crossEntropy());
    assertEquals(2 / 16.0, report.dropped());
    assertEquals(6 / 16.0, report.alive());
    assertEquals(4 / 16.0, report.z());
    // N sum f P with f = (3/4, 1/4), P = (1/2, 1/2).
    assertEquals(1, report.balance(), 1e-15);
    assertEquals(2 + 0.01 * report.balance(), report.loss(), 1e-15);
    run.commit(1, 2);
    assertEquals(new Outcome.Completed(2), run.only(Outcome.class));
    assertEquals(List.of(2L), run.begun());
    assertEquals(2, host.expect(Host.Checkpoint.class).step());
    assertEquals(new Outcome.Completed(2), host.expect(Host.Finish.class).outcome());
  }

  @Test
  void shouldNotDecideBeforeTheLastGradient() throws Exception {
    begin();
    run.collect(1, 1);
    run.tell(1, new RouterActor.GradientReady(1, 1, 0, 16, 1));
    run.tell(1, new RouterActor.GradientReady(1, 1, 0, 16, 1));
    run.tell(1, new ExpertActor.GradientReady(1, 1, 0, 0, 1));
    run.tell(1, new ExpertActor.GradientReady(1, 1, 0, 0, 1));
    run.tell(1, new RouterActor.GradientReady(1, 1, 1, 16, 1));
    run.expectNothing();
    run.tell(1, new ExpertActor.GradientReady(1, 1, 0, 1, 1));
    run.expectApply(1, 1);
    run.tell(1, new ExpertActor.Applied(1, 1, 0, 0));
    run.tell(1, new ExpertActor.Applied(1, 1, 0, 0));
    run.tell(1, new ExpertActor.Applied(1, 1, 0, 1));
    run.tell(1, new RouterActor.Applied(1, 1, 0));
    run.tell(1, new RouterActor.Applied(1, 1, 0));
    run.expectNothing();
    run.tell(1, new RouterActor.Applied(1, 1, 1));
    assertEquals(2, run.only(StepReport.class).gradNorm());
    run.expectStep(1, 2);
  }

  @Test
  void shouldIgnoreWhatIsOfAnotherEpochOrStep() throws Exception {
    begin();
    run.expectStep(1, 1);
    run.routed(0, 1, 0, 8, 0);
    run.routed(0, 1, 1, 8, 0);
    run.routed(1, 2, 0, 8, 0);
    run.routed(1, 2, 1, 8, 0);
    run.ready(0, 1);
    run.ready(1, 2);
    run.ready(1, 0);
    run.applied(1, 1);
    run.tell(new Host.Failed(0, 1, host.probe.ref(), "of an epoch that is over", "", false));
    run.tell(1, new RouterActor.Diverged(0, 1, 1, "layer=9"));
    run.expectNothing();
    run.routed(1, 1, 0, 6, 2);
    run.routed(1, 1, 1, 6, 2);
    run.expectLoad(1, 1);
  }

  @Test
  void shouldBeginTheStepAnewInAnotherEpochWhenARouterHasLostIt() throws Exception {
    begin();
    run.collect(1, 1);
    run.tell(1, new ExpertActor.GradientReady(1, 1, 0, 0, 1));
    run.tell(1, new RouterActor.Restarted(1, 1, 2, "injected"));
    assertEquals(
        new RunEvent.Restarted("rank=1", 2, "injected"), run.only(RunEvent.Restarted.class));
    // Step 0 is nowhere else: the disks are looked at, too.
    assertEquals(false, host.expectReport(2).withDisk());
    host.report(2);
    assertEquals(true, host.expectReport(3).withDisk());
    host.report(3);
    run.prepare(3, host);
    run.collect(3, 1);
    run.ready(1, 1);
    run.expectNothing();
    run.ready(3, 1);
    run.expectApply(3, 1);
    run.applied(3, 1);
    assertEquals(0, run.only(RunEvent.Recovered.class).replayedSteps());
  }

  @Test
  void shouldGiveUpAStepThatARouterCannotDo() throws Exception {
    begin();
    run.commit(1, 1);
    int epoch = 1;
    for (int failures = 0; failures < 3; failures++) {
      run.expectStep(epoch, 2);
      run.tell(epoch, new RouterActor.Restarted(epoch, 1, 2, "injected"));
      enter(++epoch, 1);
    }
    run.expectStep(epoch, 2);
    assertEquals(List.of(), run.told(Outcome.class));
    run.tell(epoch, new RouterActor.Restarted(epoch, 1, 2, "injected"));
    run.tell(epoch, new RouterActor.Restarted(epoch, 0, 2, "also"));
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertTrue(failed.message().startsWith("rank=1: step 2 failed"), failed.message());
    assertTrue(failed.message().endsWith("times: injected"), failed.message());
    assertEquals(1, failed.step());
  }

  @Test
  void shouldRepeatApplyWhenARouterThrewInTheMiddleOfIt() throws Exception {
    begin();
    run.decide(1, 1);
    run.tell(1, new RouterActor.Restarted(1, 0, 2, "injected"));
    run.expectApply(1, 1);
    run.applied(1, 1);
    assertEquals(List.of(1L), run.committed());
    assertEquals(1, run.told(RunEvent.Restarted.class).size());
  }

  @Test
  void shouldHaveBatchesSentAgainWhenAnExpertHasLostThem() throws Exception {
    begin();
    run.collect(1, 1);
    run.tell(1, new ExpertActor.Restarted(0, 1, 2, -1, "injected"));
    assertEquals(new RouterActor.Resend(1, 0, 1), host.expectForRouters());
    assertEquals(
        new RunEvent.Restarted("layer=0 expert=1", 2, "injected"),
        run.only(RunEvent.Restarted.class));
  }

  @Test
  void shouldRepeatApplyToAnExpertThatStillHasItsGradient() throws Exception {
    begin();
    run.collect(1, 1);
    run.ready(1, 1);
    ExpertActor.Apply apply = run.expectApply(1, 1);
    run.tell(1, new ExpertActor.Restarted(0, 1, 2, 1, "injected"));
    assertEquals(new Host.ToExpert(1, 0, 1, apply), host.expect(Host.ToExpert.class));
    run.expectNothing();
  }

  @Test
  void shouldHaveAnExpertCatchUpThatLostItsGradientAfterTheDecision() throws Exception {
    begin();
    run.collect(1, 1);
    run.ready(1, 1);
    ExpertActor.Apply apply = run.expectApply(1, 1);
    run.tell(1, new ExpertActor.Restarted(0, 1, 2, -1, "injected"));
    assertEquals(new RouterActor.Resend(1, 0, 1), host.expectForRouters());
    run.tell(1, new ExpertActor.GradientReady(1, 1, 0, 1, 1));
    assertEquals(new Host.ToExpert(1, 0, 1, apply), host.expect(Host.ToExpert.class));
  }

  @Test
  void shouldAskAgainForAllThatMayHaveGotLost() throws Exception {
    begin();
    run.collect(1, 1);
    run.pass(Duration.ofSeconds(10));
    assertTrue(run.only(RunEvent.Late.class).who().contains("layer=0 expert=1"));
    assertEquals(1, host.expectForRouters(RouterActor.Step.class).step());
    run.expectLoad(1, 1);
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.pass(Duration.ofSeconds(10));
    run.expectApply(1, 1);
    run.applied(1, 1);
    assertEquals(List.of(1L), run.committed());
  }

  /** Whoever repeats its answer does not move: the one that is silent would never be missed. */
  @Test
  void shouldTryAnotherEpochThenGiveUpNamingWhoIsMissing() throws Exception {
    begin();
    run.commit(1, 1);
    // A step took no time: the deadline is its least.
    for (int epoch = 1; epoch < 4; epoch++) {
      run.expectStep(epoch, 2);
      for (int deadline = 1; deadline <= 2; deadline++) {
        run.pass(Duration.ofSeconds(2));
        run.expectStep(epoch, 2);
        run.tell(epoch, new RouterActor.GradientReady(epoch, 2, 0, 16, 1));
        run.tell(epoch, new RouterActor.Late(epoch, 2, 0, 0, 1));
        if (deadline == 1) {
          run.pass(Duration.ofMillis(1500));
          run.expectNothing();
        }
      }
      run.pass(Duration.ofSeconds(4));
      while (!(host.probe.receiveMessage() instanceof Host.Report)) {
        // Steps asked for again.
      }
      host.holds(1);
      host.report(epoch + 1);
      run.prepare(epoch + 1, host);
    }
    run.expectStep(4, 2);
    run.pass(Duration.ofSeconds(6));
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertTrue(failed.message().contains("step 2"), failed.message());
    assertTrue(failed.message().contains("layer=0 expert=1"), failed.message());
    assertTrue(failed.message().contains("node-1"), failed.message());
    assertEquals(1, failed.step());
  }

  @Test
  void shouldKeepWaitingWhileSomethingMoves() throws Exception {
    begin();
    run.collect(1, 1);
    for (int i = 0; i < 8; i++) {
      run.tell(1, new RouterActor.Moving(1, 0));
      run.pass(Duration.ofMillis(9500));
    }
    run.expectNothing();
    run.ready(1, 1);
    run.expectApply(1, 1);
  }

  @Test
  void shouldFailWhenAnOwnerStops() throws Exception {
    begin();
    run.expectStep(1, 1);
    run.tell(host.failed(1, "router-1 stopped after repeated failures"));
    assertEquals(
        new Outcome.Failed(0, "router-1 stopped after repeated failures", "resume=true"),
        run.only(Outcome.class));
    assertEquals(run.only(Outcome.class), host.expect(Host.Finish.class).outcome());
    run.expectNothing();
  }

  @Test
  void shouldFinishTheStepAndWriteACheckpointWhenStopped() throws Exception {
    begin();
    run.collect(1, 1);
    run.tell(new Coordinator.Stop());
    run.ready(1, 1);
    run.expectApply(1, 1);
    assertEquals(List.of(), run.begun());
    run.applied(1, 1);
    assertEquals(new Outcome.Stopped(1), run.only(Outcome.class));
    assertEquals(List.of(1L), run.begun());
  }

  @Test
  void shouldWaitForABusyWriterWhenStopped() throws Exception {
    begin(new PlayedRun().busy(2));
    run.collect(1, 1);
    run.tell(new Coordinator.Stop());
    run.ready(1, 1);
    run.expectApply(1, 1);
    run.applied(1, 1);
    run.passTimers(Duration.ofMillis(100));
    assertEquals(List.of(), run.begun());
    run.passTimers(Duration.ofMillis(100));
    assertEquals(new Outcome.Stopped(1), run.only(Outcome.class));
    assertEquals(List.of(1L), run.begun());
  }

  @Test
  void shouldGoOnLoudlyWhenTheWriterIsBusyInTheMiddle() throws Exception {
    begin(new PlayedRun("checkpoint.every=1").busy(1));
    run.commit(1, 1);
    assertTrue(run.only(String.class).startsWith("checkpoint of step 1 skipped"));
    run.commit(1, 2);
    assertEquals(new Outcome.Completed(2), run.only(Outcome.class));
    assertEquals(List.of(2L), run.begun());
  }

  @Test
  void shouldGoOnWhenACheckpointInTheMiddleFails() throws Exception {
    begin(new PlayedRun("checkpoint.every=1").withoutWriting());
    run.commit(1, 1);
    assertEquals(1, host.expect(Host.Checkpoint.class).step());
    run.tell(new Coordinator.CheckpointEnded(1, 1, "disk full", "free some space"));
    assertEquals(
        "checkpoint of step 1 failed: disk full. HINT: free some space", run.only(String.class));
    run.commit(1, 2);
    assertEquals(2, host.expect(Host.Checkpoint.class).step());
    assertEquals(List.of(), run.told(Outcome.class));
    run.tell(new Coordinator.CheckpointEnded(1, 2, null, null));
    assertEquals(new Outcome.Completed(2), run.only(Outcome.class));
  }

  @Test
  void shouldFailWhenTheLastCheckpointIsNotOnTheDisk() throws Exception {
    begin(new PlayedRun("train.steps=1").withoutWriting());
    run.commit(1, 1);
    run.tell(new Coordinator.CheckpointEnded(1, 1, "disk full", "free some space"));
    assertEquals(
        new Outcome.Failed(
            1,
            "step 1 is not on the disk: disk full; the newest checkpoint is that of step 0",
            "free some space"),
        run.only(Outcome.class));
  }

  @Test
  void shouldHaveTheLastCheckpointCopiedAgainWhenNothingIsHeardOfIt() throws Exception {
    begin(new PlayedRun("train.steps=1").withoutWriting());
    run.commit(1, 1);
    assertEquals(1, host.expect(Host.Checkpoint.class).step());
    run.pass(Duration.ofSeconds(10));
    assertEquals(1, host.expect(Host.Checkpoint.class).step());
    run.tell(new Coordinator.CheckpointEnded(1, 1, null, null));
    assertEquals(new Outcome.Completed(1), run.only(Outcome.class));
    assertEquals(List.of(1L), run.begun());
  }

  @Test
  void shouldGiveUpACheckpointThatTheLastOneWaitsForInVain() throws Exception {
    begin(new PlayedRun("checkpoint.every=1").withoutWriting());
    run.commit(1, 1);
    assertEquals(1, host.expect(Host.Checkpoint.class).step());
    run.collect(1, 2);
    run.ready(1, 2);
    run.expectApply(1, 2);
    run.busy(Integer.MAX_VALUE);
    run.applied(1, 2);
    run.pass(Duration.ofSeconds(10));
    assertEquals(new Asked("abort", 1, 1), run.told(Asked.class).getLast());
    run.busy(0);
    run.tell(new Coordinator.CheckpointEnded(1, 1, "aborted", ""));
    run.passTimers(Duration.ofMillis(100));
    run.tell(new Coordinator.CheckpointEnded(1, 2, null, null));
    assertEquals(new Outcome.Completed(2), run.only(Outcome.class));
    assertEquals(List.of(), run.told(String.class));
  }

  @Test
  void shouldFailWithStepPlaceAndHintWhenARouterDiverges() throws Exception {
    begin();
    run.expectStep(1, 1);
    run.tell(1, new RouterActor.Diverged(1, 1, 1, "layer=0 expert=1: loss NaN"));
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertTrue(failed.message().contains("step 1"), failed.message());
    assertTrue(failed.message().contains("rank=1 layer=0 expert=1"), failed.message());
    assertTrue(failed.hint().contains("schedule.learning_rate"), failed.hint());
    assertEquals(List.of(), run.begun());
  }

  @Test
  void shouldFailNamingTheOwnerWhoseGradientIsNotFinite() throws Exception {
    begin();
    run.collect(1, 1);
    for (int i = 0; i < 2; i++) {
      run.tell(1, new RouterActor.GradientReady(1, 1, i, 16, 1));
      run.tell(1, new ExpertActor.GradientReady(1, 1, 0, i, i == 1 ? Double.NaN : 1));
    }
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertTrue(failed.message().contains("layer=0 expert=1"), failed.message());
    host.expect(Host.Finish.class);
    run.expectNothing();
  }

  @Test
  void shouldFailRatherThanFallSilentWhenItThrowsItself() throws Exception {
    begin(new PlayedRun().throwing());
    run.commit(1, 1);
    Outcome.Failed failed = run.only(Outcome.Failed.class);
    assertTrue(failed.message().contains("injected"), failed.message());
    assertEquals(1, failed.step());
    host.expect(Host.Finish.class);
  }

  @Test
  void shouldValidateWhenItIsDue() throws Exception {
    begin("evaluate.every=1", "evaluate.batches=5");
    run.commit(1, 1);
    RouterActor.Evaluate evaluate = host.expectForRouters(RouterActor.Evaluate.class);
    assertEquals(5, evaluate.count());
    run.tell(1, new RouterActor.Evaluated(1, evaluate.id(), 1, 30, 10));
    run.tell(1, new RouterActor.Evaluated(1, evaluate.id(), 1, 30, 10));
    run.tell(1, new RouterActor.Evaluated(1, evaluate.id() + 1, 0, 99, 10));
    run.expectNothing();
    run.tell(1, new RouterActor.Evaluated(1, evaluate.id(), 0, 10, 30));
    assertEquals(new Validated(1, 1.0, 40), run.only(Validated.class));
    run.expectStep(1, 2);
  }

  @Test
  void shouldValidateAgainWhenARouterHasThrownOrNothingIsHeard() throws Exception {
    begin("evaluate.every=1", "train.steps=3");
    run.commit(1, 1);
    long first = host.expectForRouters(RouterActor.Evaluate.class).id();
    run.tell(1, new RouterActor.Restarted(1, 0, 2, "injected"));
    enter(2, 1);
    long second = host.expectForRouters(RouterActor.Evaluate.class).id();
    run.pass(Duration.ofSeconds(10));
    long third = host.expectForRouters(RouterActor.Evaluate.class).id();
    assertTrue(first < second && second < third);
    run.tell(2, new RouterActor.Evaluated(2, second, 0, 10, 30));
    run.tell(2, new RouterActor.Evaluated(2, second, 1, 10, 30));
    assertEquals(List.of(), run.told(Validated.class));
    run.tell(2, new RouterActor.Evaluated(2, third, 0, 30, 30));
    run.tell(2, new RouterActor.Evaluated(2, third, 1, 30, 30));
    assertEquals(new Validated(1, 1.0, 60), run.only(Validated.class));
    run.expectStep(2, 2);
  }

  @Test
  void shouldTakeTheAnswerToThisPromptOnly() throws Exception {
    Sampling sampling = new Sampling(0, 0, 1);
    begin(
        new PlayedRun()
            .tasks(
                new RunTask.Generate(new int[] {1}, 1, -1, sampling),
                new RunTask.Generate(new int[] {2}, 1, -1, sampling)));
    RouterActor.Generate first = (RouterActor.Generate) host.expect(Host.ToRouter.class).command();
    run.pass(Duration.ofSeconds(10));
    RouterActor.Generate again = (RouterActor.Generate) host.expect(Host.ToRouter.class).command();
    run.tell(1, new RouterActor.Generated(1, again.id(), 0, new int[] {1, 5}));
    RouterActor.Generate second = (RouterActor.Generate) host.expect(Host.ToRouter.class).command();
    run.tell(1, new RouterActor.Generated(1, first.id(), 0, new int[] {1, 5}));
    run.tell(1, new RouterActor.Generated(1, second.id(), 0, new int[] {2, 6}));
    assertEquals(List.of(new Text(List.of(1, 5)), new Text(List.of(2, 6))), run.told(Text.class));
    assertEquals(new Outcome.Completed(0), run.only(Outcome.class));
  }
}
