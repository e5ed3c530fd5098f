package troupe.coordinator;

import troupe.coordinator.events.Outcome;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.ManualTime;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import akka.actor.typed.javadsl.Behaviors;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.trunk.LayerStats;

/** The coordinator of two ranks and two experts, all of which the test plays; time stands still. */
final class CoordinatorTest {
  private static final int FIRST_EPOCH = 1;
  private static final long TOKENS_OF_RANK = 8;

  private final ActorTestKit kit = ActorTestKit.create(ManualTime.config());
  private final ManualTime time = ManualTime.get(kit.system());
  private final TestProbe<RouterActor.Command> router0 = kit.createTestProbe();
  private final TestProbe<RouterActor.Command> router1 = kit.createTestProbe();
  private final TestProbe<ExpertActor.Command> expert0 = kit.createTestProbe();
  private final TestProbe<ExpertActor.Command> expert1 = kit.createTestProbe();
  private final List<Integer> epochs = new CopyOnWriteArrayList<>();
  private final List<Long> checkpoints = new CopyOnWriteArrayList<>();
  private final AtomicInteger refusals = new AtomicInteger();
  private final Heard heard = new Heard();
  private ActorRef<Coordinator.Command> coordinator;

  /** What the coordinator told its listener, in order. */
  private static final class Heard implements RunListener {
    private final BlockingQueue<Object> all = new LinkedBlockingQueue<>();
    private volatile boolean throwing;

    @Override
    public void committed(StepReport report) {
      all.add(report);
      if (throwing) {
        throw new IllegalStateException("injected");
      }
    }

    @Override
    public void evaluated(long step, double loss, long tokens) {
      all.add("step " + step + " loss " + loss + " tokens " + tokens);
    }

    @Override
    public void notice(String line) {
      all.add(line);
    }

    @Override
    public void finished(Outcome outcome) {
      all.add(outcome);
    }

    <T> T next(Class<T> type) throws InterruptedException {
      Object next = all.poll(10, TimeUnit.SECONDS);
      assertInstanceOf(type, next, "told next");
      return type.cast(next);
    }
  }

  private record Owners(
      List<ActorRef<RouterActor.Command>> routers,
      List<ActorRef<ExpertActor.Command>> experts,
      List<Integer> epochs)
      implements Coordinator.Owners {
    @Override
    public ActorRef<ExpertActor.Command> expert(int layer, int expert) {
      return experts.get(expert);
    }

    @Override
    public void epoch(int epoch) {
      epochs.add(epoch);
    }
  }

  @AfterEach
  void stop() {
    kit.shutdownTestKit();
  }

  private void start(String... overrides) {
    start(router1.ref(), overrides);
  }

  private void start(ActorRef<RouterActor.Command> secondRouter, String... overrides) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "model.layers=1",
                "experts.count=2",
                "model.seq=4",
                "train.batch=4",
                "train.ranks=2",
                "train.steps=2",
                "checkpoint.every=0",
                "evaluate.every=0",
                "schedule.warmup_steps=0",
                "schedule.type=constant",
                "optimizer.clip=1",
                "cluster.reply_timeout_seconds=10"));
    all.addAll(List.of(overrides));
    RunConfig config = ConfigLoader.parse("", all);
    coordinator =
        kit.spawn(
            Coordinator.create(
                new Coordinator.Settings(
                    config,
                    FIRST_EPOCH,
                    0,
                    List.of(new RunTask.Train(config.train().steps())),
                    (epoch, step, owners) -> {
                      if (refusals.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
                        return Coordinator.Checkpoints.Begun.BUSY;
                      }
                      checkpoints.add(step);
                      coordinator.tell(new Coordinator.CheckpointEnded(step, null, null));
                      return Coordinator.Checkpoints.Begun.STARTED;
                    },
                    heard,
                    () -> 0)));
    coordinator.tell(
        new Coordinator.Start(
            new Owners(
                List.of(router0.ref(), secondRouter),
                List.of(expert0.ref(), expert1.ref()),
                epochs)));
  }

  private void routed(int epoch, long step, int rank, long... routed_E) {
    tell(
        new RouterActor.Routed(
            epoch,
            step,
            rank,
            0,
            new LayerStats(routed_E, new double[] {4, 4}, 2, TOKENS_OF_RANK, 1, 3)));
  }

  private void tell(RouterActor.Event event) {
    coordinator.tell(new Coordinator.FromRouter(event));
  }

  private void tell(ExpertActor.Event event) {
    coordinator.tell(new Coordinator.FromExpert(event));
  }

  private void ready(int epoch, long step) {
    for (int i = 0; i < 2; i++) {
      tell(new RouterActor.GradientReady(epoch, step, i, 16, 1));
      tell(new ExpertActor.GradientReady(epoch, step, 0, i, 1));
    }
  }

  private void applied(int epoch, long step) {
    for (int i = 0; i < 2; i++) {
      tell(new RouterActor.Applied(epoch, step, i));
      tell(new ExpertActor.Applied(epoch, step, 0, i));
    }
  }

  private void expectStep(int epoch, long step) {
    router0.expectMessage(new RouterActor.Step(epoch, step));
    router1.expectMessage(new RouterActor.Step(epoch, step));
  }

  private void collect(int epoch, long step) {
    expectStep(epoch, step);
    routed(epoch, step, 0, 6, 2);
    routed(epoch, step, 1, 6, 2);
    expectLoad(epoch, step);
  }

  private void expectLoad(int epoch, long step) {
    for (TestProbe<RouterActor.Command> router : List.of(router0, router1)) {
      RouterActor.Load load = router.expectMessageClass(RouterActor.Load.class);
      assertEquals(epoch, load.epoch());
      assertEquals(step, load.step());
      assertEquals(List.of(0.75, 0.25), List.of(load.load_E()[0], load.load_E()[1]));
    }
  }

  private ExpertActor.Apply expectApply(long step) {
    ExpertActor.Apply apply = expert0.expectMessageClass(ExpertActor.Apply.class);
    assertEquals(step, apply.hyper().step());
    expert1.expectMessage(apply);
    router0.expectMessage(new RouterActor.Apply(apply.epoch(), apply.hyper()));
    router1.expectMessage(new RouterActor.Apply(apply.epoch(), apply.hyper()));
    return apply;
  }

  private void assertNothingSent() {
    for (TestProbe<?> probe : List.of(router0, router1, expert0, expert1)) {
      probe.expectNoMessage(Duration.ZERO);
    }
  }

  /** Waits until the coordinator has dealt with everything it was told: notices come in order. */
  private void settle() throws InterruptedException {
    tell(new RouterActor.Late(FIRST_EPOCH + epochs.size(), 0, 0, 0, 0));
    assertTrue(heard.next(String.class).contains("waits for"));
  }

  @Test
  void shouldCommitAStepWhenEverybodyHasAppliedIt() throws Exception {
    start();
    collect(1, 1);
    ready(1, 1);
    ExpertActor.Apply apply = expectApply(1);
    // Four owners with a squared norm of one each.
    assertEquals(1 / (2 + 1e-6), apply.hyper().gradientScale());
    applied(1, 1);
    StepReport report = heard.next(StepReport.class);
    assertEquals(1, report.step());
    assertEquals(2, report.gradNorm());
    assertEquals(2, report.crossEntropy());
    assertEquals(2 / 16.0, report.dropped());
    assertEquals(6 / 16.0, report.alive());
    assertEquals(4 / 16.0, report.z());
    // N sum f P with f = (3/4, 1/4), P = (1/2, 1/2).
    assertEquals(1, report.balance(), 1e-15);
    assertEquals(2 + 0.01 * report.balance(), report.loss(), 1e-15);
    collect(1, 2);
    ready(1, 2);
    expectApply(2);
    applied(1, 2);
    heard.next(StepReport.class);
    assertEquals(new Outcome.Completed(2), heard.next(Outcome.class));
    assertEquals(List.of(2L), checkpoints);
  }

  @Test
  void shouldNotDecideBeforeTheLastGradient() throws Exception {
    start();
    collect(1, 1);
    tell(new RouterActor.GradientReady(1, 1, 0, 16, 1));
    tell(new RouterActor.GradientReady(1, 1, 0, 16, 1));
    tell(new ExpertActor.GradientReady(1, 1, 0, 0, 1));
    tell(new ExpertActor.GradientReady(1, 1, 0, 0, 1));
    tell(new RouterActor.GradientReady(1, 1, 1, 16, 1));
    settle();
    assertNothingSent();
    tell(new ExpertActor.GradientReady(1, 1, 0, 1, 1));
    expectApply(1);
    tell(new ExpertActor.Applied(1, 1, 0, 0));
    tell(new ExpertActor.Applied(1, 1, 0, 0));
    tell(new ExpertActor.Applied(1, 1, 0, 1));
    tell(new RouterActor.Applied(1, 1, 0));
    tell(new RouterActor.Applied(1, 1, 0));
    settle();
    assertNothingSent();
    tell(new RouterActor.Applied(1, 1, 1));
    assertEquals(2, heard.next(StepReport.class).gradNorm());
    expectStep(1, 2);
  }

  @Test
  void shouldIgnoreWhatIsOfAnotherEpochOrStep() throws Exception {
    start();
    expectStep(1, 1);
    routed(0, 1, 0, 8, 0);
    routed(0, 1, 1, 8, 0);
    routed(1, 2, 0, 8, 0);
    routed(1, 2, 1, 8, 0);
    ready(0, 1);
    ready(1, 2);
    ready(1, 0);
    applied(1, 1);
    settle();
    assertNothingSent();
    routed(1, 1, 0, 6, 2);
    routed(1, 1, 1, 6, 2);
    expectLoad(1, 1);
  }

  @Test
  void shouldBeginTheStepAnewInAnotherEpochWhenARouterHasLostIt() throws Exception {
    start();
    collect(1, 1);
    tell(new ExpertActor.GradientReady(1, 1, 0, 0, 1));
    tell(new RouterActor.Restarted(1, 1, 2, "injected"));
    assertTrue(heard.next(String.class).startsWith("rank=1 restarted"));
    for (TestProbe<RouterActor.Command> router : List.of(router0, router1)) {
      router.expectMessage(new RouterActor.BeginEpoch(2));
    }
    expert0.expectMessage(new ExpertActor.BeginEpoch(2));
    expert1.expectMessage(new ExpertActor.BeginEpoch(2));
    assertEquals(List.of(2), epochs);
    collect(2, 1);
    ready(1, 1);
    settle();
    assertNothingSent();
    ready(2, 1);
    expectApply(1);
  }

  @Test
  void shouldRepeatApplyWhenARouterThrewInTheMiddleOfIt() throws Exception {
    start();
    collect(1, 1);
    ready(1, 1);
    ExpertActor.Apply apply = expectApply(1);
    tell(new RouterActor.Restarted(1, 0, 2, "injected"));
    heard.next(String.class);
    assertEquals(apply, expectApply(1));
    assertEquals(List.of(), epochs);
    applied(1, 1);
    heard.next(StepReport.class);
  }

  @Test
  void shouldHaveBatchesSentAgainWhenAnExpertHasLostThem() throws Exception {
    start();
    collect(1, 1);
    tell(new ExpertActor.Restarted(0, 1, 2, -1, "injected"));
    heard.next(String.class);
    router0.expectMessage(new RouterActor.Resend(1, 0, 1));
    router1.expectMessage(new RouterActor.Resend(1, 0, 1));
  }

  @Test
  void shouldRepeatApplyToAnExpertThatStillHasItsGradient() throws Exception {
    start();
    collect(1, 1);
    ready(1, 1);
    ExpertActor.Apply apply = expectApply(1);
    tell(new ExpertActor.Restarted(0, 1, 2, 1, "injected"));
    heard.next(String.class);
    expert1.expectMessage(apply);
    assertNothingSent();
  }

  @Test
  void shouldHaveAnExpertCatchUpThatLostItsGradientAfterTheDecision() throws Exception {
    start();
    collect(1, 1);
    ready(1, 1);
    ExpertActor.Apply apply = expectApply(1);
    tell(new ExpertActor.Restarted(0, 1, 2, -1, "injected"));
    heard.next(String.class);
    router0.expectMessage(new RouterActor.Resend(1, 0, 1));
    router1.expectMessage(new RouterActor.Resend(1, 0, 1));
    tell(new ExpertActor.GradientReady(1, 1, 0, 1, 1));
    expert1.expectMessage(apply);
  }

  @Test
  void shouldGiveUpNamingWhoIsMissingWhenNothingMoves() throws Exception {
    start();
    collect(1, 1);
    tell(new RouterActor.GradientReady(1, 1, 0, 16, 1));
    tell(new RouterActor.GradientReady(1, 1, 1, 16, 1));
    tell(new ExpertActor.GradientReady(1, 1, 0, 0, 1));
    for (int i = 0; i < 4; i++) {
      tell(new RouterActor.Late(1, 1, 0, 0, 1));
      assertEquals("rank=0 waits for layer=0 expert=1: asked again", heard.next(String.class));
      time.timePasses(Duration.ofSeconds(10));
    }
    Outcome.Failed failed = heard.next(Outcome.Failed.class);
    assertTrue(failed.message().contains("layer=0 expert=1"), failed.message());
    assertEquals(0, failed.step());
  }

  @Test
  void shouldKeepWaitingWhileSomethingMoves() throws Exception {
    start();
    collect(1, 1);
    for (int i = 0; i < 8; i++) {
      tell(new RouterActor.GradientReady(1, 1, 0, 16, 1));
      settle();
      time.timePasses(Duration.ofSeconds(10));
    }
    ready(1, 1);
    expectApply(1);
  }

  @Test
  void shouldFailWhenAnOwnerStops() throws Exception {
    ActorRef<RouterActor.Command> mortal =
        kit.spawn(Behaviors.receiveMessage(command -> Behaviors.stopped()), "router-1");
    start(mortal);
    Outcome.Failed failed = heard.next(Outcome.Failed.class);
    assertTrue(failed.message().startsWith("router-1 stopped"), failed.message());
    assertTrue(failed.hint().contains("resume=true"), failed.hint());
  }

  @Test
  void shouldFinishTheStepAndWriteACheckpointWhenStopped() throws Exception {
    start();
    collect(1, 1);
    coordinator.tell(new Coordinator.Stop());
    ready(1, 1);
    expectApply(1);
    assertEquals(List.of(), checkpoints);
    applied(1, 1);
    heard.next(StepReport.class);
    assertEquals(new Outcome.Stopped(1), heard.next(Outcome.class));
    assertEquals(List.of(1L), checkpoints);
    assertNothingSent();
  }

  @Test
  void shouldWaitForABusyWriterWhenStopped() throws Exception {
    refusals.set(2);
    start();
    collect(1, 1);
    coordinator.tell(new Coordinator.Stop());
    ready(1, 1);
    expectApply(1);
    applied(1, 1);
    heard.next(StepReport.class);
    time.expectNoMessageFor(Duration.ofMillis(50), router0);
    assertEquals(List.of(), checkpoints);
    for (int i = 0; i < 3; i++) {
      time.timePasses(Duration.ofMillis(100));
    }
    assertEquals(new Outcome.Stopped(1), heard.next(Outcome.class));
    assertEquals(List.of(1L), checkpoints);
  }

  @Test
  void shouldGoOnLoudlyWhenTheWriterIsBusyInTheMiddle() throws Exception {
    refusals.set(1);
    start("checkpoint.every=1");
    collect(1, 1);
    ready(1, 1);
    expectApply(1);
    applied(1, 1);
    heard.next(StepReport.class);
    assertTrue(heard.next(String.class).startsWith("checkpoint of step 1 skipped"));
    collect(1, 2);
    ready(1, 2);
    expectApply(2);
    applied(1, 2);
    heard.next(StepReport.class);
    assertEquals(new Outcome.Completed(2), heard.next(Outcome.class));
    assertEquals(List.of(2L), checkpoints);
  }

  @Test
  void shouldFailWithStepPlaceAndHintWhenARouterDiverges() throws Exception {
    start();
    expectStep(1, 1);
    tell(new RouterActor.Diverged(0, 1, 1, "layer=9 expert=9"));
    tell(new RouterActor.Diverged(1, 1, 1, "layer=0 expert=1: loss NaN"));
    Outcome.Failed failed = heard.next(Outcome.Failed.class);
    assertTrue(failed.message().contains("step 1"), failed.message());
    assertTrue(failed.message().contains("rank=1 layer=0 expert=1"), failed.message());
    assertTrue(failed.hint().contains("schedule.learning_rate"), failed.hint());
    assertEquals(List.of(), checkpoints);
  }

  @Test
  void shouldFailNamingTheOwnerWhoseGradientIsNotFinite() throws Exception {
    start();
    collect(1, 1);
    for (int i = 0; i < 2; i++) {
      tell(new RouterActor.GradientReady(1, 1, i, 16, 1));
      tell(new ExpertActor.GradientReady(1, 1, 0, i, i == 1 ? Double.NaN : 1));
    }
    Outcome.Failed failed = heard.next(Outcome.Failed.class);
    assertTrue(failed.message().contains("layer=0 expert=1"), failed.message());
    assertNothingSent();
  }

  @Test
  void shouldFailRatherThanFallSilentWhenItThrowsItself() throws Exception {
    heard.throwing = true;
    start();
    collect(1, 1);
    ready(1, 1);
    expectApply(1);
    applied(1, 1);
    heard.next(StepReport.class);
    Outcome.Failed failed = heard.next(Outcome.Failed.class);
    assertTrue(failed.message().contains("injected"), failed.message());
    assertEquals(1, failed.step());
  }

  @Test
  void shouldValidateWhenItIsDue() throws Exception {
    start("evaluate.every=1", "evaluate.batches=5");
    collect(1, 1);
    ready(1, 1);
    expectApply(1);
    applied(1, 1);
    heard.next(StepReport.class);
    RouterActor.Evaluate evaluate = router0.expectMessageClass(RouterActor.Evaluate.class);
    assertEquals(5, evaluate.count());
    router1.expectMessage(evaluate);
    tell(new RouterActor.Evaluated(1, evaluate.id(), 1, 30, 10));
    tell(new RouterActor.Evaluated(1, evaluate.id(), 1, 30, 10));
    tell(new RouterActor.Evaluated(1, evaluate.id() + 1, 0, 99, 10));
    tell(new RouterActor.Evaluated(1, evaluate.id(), 0, 10, 30));
    assertEquals("step 1 loss 1.0 tokens 40", heard.next(String.class));
    expectStep(1, 2);
  }
}
