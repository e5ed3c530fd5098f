package troupe.expert;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertSame;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.core.UserException;
import troupe.core.config.Fault;
import troupe.core.nn.ParameterLayout;
import troupe.core.tensor.Activation;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.expert.network.ExpertStep;
import troupe.expert.network.TensorPayload;
import troupe.transport.BatchHeader;
import troupe.transport.Phase;

final class ExpertActorTest {
  private static final ActorTestKit KIT = ActorTestKit.create();
  private static final long RUN = 9;
  private static final int EPOCH = 3;
  private static final int RANKS = 2;
  private static final int LAYER = 1;
  private static final int EXPERT = 2;
  private static final int WIDTH = 4;
  private static final AdamWStep HYPER = new AdamWStep(0.01, 0.9, 0.95, 1e-8, 1, 1);

  private final Device device = Devices.open("reference");
  private final ExpertState state = newState();
  private final RecordingTransport transport = new RecordingTransport();
  private final TestProbe<ExpertActor.Event> events = KIT.createTestProbe();
  private final long bytesAtRest = device.allocatedBytes();

  private ExpertState newState() {
    return new ExpertState(
        device,
        LAYER,
        EXPERT,
        new ParameterLayout(ExpertState.specs(LAYER, EXPERT, WIDTH, 6, Activation.GELU, 0.5, 0.5)),
        Activation.GELU,
        0.1,
        5);
  }

  @AfterAll
  static void stop() {
    KIT.shutdownTestKit();
  }

  @AfterEach
  void close() {
    device.close();
  }

  private ActorRef<ExpertActor.Command> spawn(Fault... faults) {
    return spawnIn(EPOCH, faults);
  }

  private ActorRef<ExpertActor.Command> spawnIn(int epoch, Fault... faults) {
    return KIT.spawn(
        ExpertActor.create(
            new ExpertActor.Settings(
                RUN,
                epoch,
                RANKS,
                1,
                transport,
                rank -> 10 + rank,
                new FaultPlan(List.of(faults)),
                events.ref()),
            state));
  }

  private BatchHeader header(int epoch, long step, int rank, Phase phase, int rows) {
    return new BatchHeader(
        RUN, epoch, step, LAYER, 0, rank, EXPERT, phase, device.dtype().code(), rows, WIDTH);
  }

  private ExpertActor.Deliver deliver(int epoch, long step, int rank, Phase phase) {
    Tensor rows = device.allocate(2, WIDTH);
    double sign = phase == Phase.BACKWARD ? -0.5 : 1;
    rows.set(sign, 2, 3, 4 + rank, 0.1, sign * 0.2, 0.3, rank);
    return new ExpertActor.Deliver(header(epoch, step, rank, phase, 2), TensorPayload.given(rows));
  }

  private ExpertActor.Deliver forward(int rank) {
    return deliver(EPOCH, 1, rank, Phase.FORWARD);
  }

  private ExpertActor.Deliver backward(int rank) {
    return deliver(EPOCH, 1, rank, Phase.BACKWARD);
  }

  /** Waits until the actor has dealt with everything it was told. */
  private static void settle(ActorRef<ExpertActor.Command> expert) throws InterruptedException {
    CountDownLatch settled = new CountDownLatch(1);
    expert.tell(new ExpertActor.TakeSnapshot(ignored -> settled.countDown()));
    if (!settled.await(10, TimeUnit.SECONDS)) {
      throw new AssertionError("the expert does not answer");
    }
  }

  private void assertSilent() {
    events.expectNoMessage(Duration.ofMillis(1));
    assertEquals(0, transport.waiting(), "batches sent");
  }

  private void release(int count) throws InterruptedException {
    for (int i = 0; i < count; i++) {
      transport.next().payload().release();
    }
  }

  /** Gradient of step 1 and parameters after it, computed without an actor. */
  private double[][] expected() {
    try (ExpertState other = newState()) {
      try (ExpertStep step = new ExpertStep(other, 1, RANKS, 1)) {
        for (int rank = 0; rank < RANKS; rank++) {
          step.forward(rank, 0, forward(rank).rows()).close();
        }
        for (int rank = 0; rank < RANKS; rank++) {
          step.backward(rank, 0, backward(rank).rows()).close();
        }
        step.accumulate();
      }
      double[] gradient = other.gradients().flat().toDoubles();
      other.owned().apply(other.gradients().flat(), HYPER, () -> {});
      return new double[][] {gradient, other.parameters().flat().toDoubles()};
    }
  }

  /** Takes an expert through forward and backward of the step, ranks in this order. */
  private void work(ActorRef<ExpertActor.Command> expert, int... ranks) throws Exception {
    for (int rank : ranks) {
      expert.tell(forward(rank));
    }
    for (int rank : ranks) {
      expert.tell(backward(rank));
    }
    release(2 * ranks.length);
  }

  @Test
  void shouldAnswerWhoAskedWithTheRowsOfTheNetwork() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    expert.tell(forward(1));
    RecordingTransport.Sent sent = transport.next();
    assertEquals(11, sent.node());
    assertEquals(header(EPOCH, 1, 1, Phase.OUTPUT, 2), sent.header());
    TensorPayload x = forward(1).rows();
    double[] y;
    try (Tensor direct = ExpertStep.evaluate(state, x.tensor())) {
      y = direct.toDoubles();
    }
    x.release();
    assertArrayEquals(y, sent.values());
    assertFalse(sent.payload().lent(), "the answer is the receiver's");
  }

  @Test
  void shouldReportTheSameGradientWhateverTheOrderOfRanks() throws Exception {
    work(spawn(), 1, 0);
    ExpertActor.GradientReady ready = events.expectMessageClass(ExpertActor.GradientReady.class);
    assertArrayEquals(expected()[0], state.gradients().flat().toDoubles());
    double squaredNorm = Arrays.stream(expected()[0]).map(g -> g * g).sum();
    assertEquals(squaredNorm, ready.squaredNorm(), 1e-12 * squaredNorm);
    assertEquals(
        new ExpertActor.GradientReady(EPOCH, 1, LAYER, EXPERT, ready.squaredNorm()), ready);
  }

  @Test
  void shouldCommitOnceWhenToldToApplyTwice() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    work(expert, 0, 1);
    events.expectMessageClass(ExpertActor.GradientReady.class);
    expert.tell(new ExpertActor.Apply(EPOCH, HYPER));
    expert.tell(new ExpertActor.Apply(EPOCH, HYPER));
    events.expectMessage(new ExpertActor.Applied(EPOCH, 1, LAYER, EXPERT));
    events.expectMessage(new ExpertActor.Applied(EPOCH, 1, LAYER, EXPERT));
    assertArrayEquals(expected()[1], state.parameters().flat().toDoubles());
    assertEquals(bytesAtRest, device.allocatedBytes(), "bytes after the step");
  }

  @Test
  void shouldIgnoreApplyWithoutGradientOrFromElsewhere() throws Exception {
    double[] before = state.parameters().flat().toDoubles();
    ActorRef<ExpertActor.Command> expert = spawn();
    expert.tell(new ExpertActor.Apply(EPOCH, HYPER));
    expert.tell(forward(0));
    release(1);
    expert.tell(new ExpertActor.Apply(EPOCH, HYPER));
    expert.tell(new ExpertActor.Apply(EPOCH - 1, HYPER));
    expert.tell(new ExpertActor.Apply(EPOCH, new AdamWStep(0.01, 0.9, 0.95, 1e-8, 2, 1)));
    settle(expert);
    assertSilent();
    assertArrayEquals(before, state.parameters().flat().toDoubles());
  }

  @Test
  void shouldDropAndReleaseWhatIsNotForThisStep() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    expert.tell(deliver(EPOCH - 1, 1, 0, Phase.FORWARD));
    expert.tell(deliver(EPOCH + 1, 1, 0, Phase.EVALUATE));
    expert.tell(deliver(EPOCH, 2, 0, Phase.FORWARD));
    expert.tell(deliver(EPOCH, 0, 0, Phase.FORWARD));
    expert.tell(deliver(EPOCH, 1, 0, Phase.BACKWARD));
    expert.tell(deliver(EPOCH, 1, 0, Phase.OUTPUT));
    expert.tell(deliver(EPOCH, 1, 0, Phase.INPUT_GRADIENT));
    expert.tell(deliver(EPOCH, 1, 0, Phase.TRUNK_GRADIENT));
    settle(expert);
    assertSilent();
    assertEquals(bytesAtRest, device.allocatedBytes());
  }

  @Test
  void shouldDropBackwardBeforeForward() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    expert.tell(forward(0));
    release(1);
    expert.tell(backward(1));
    settle(expert);
    assertSilent();
    work(expert, 1);
    expert.tell(backward(0));
    release(1);
    events.expectMessageClass(ExpertActor.GradientReady.class);
    assertArrayEquals(expected()[0], state.gradients().flat().toDoubles());
  }

  @Test
  void shouldAnswerRepeatedBatchesAgainWithoutCountingThemTwice() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    for (ExpertActor.Deliver deliver :
        List.of(forward(0), forward(0), backward(0), backward(0), forward(0), forward(1))) {
      expert.tell(deliver);
    }
    double[] first = transport.next().values();
    assertArrayEquals(first, transport.next().values());
    double[] gradient = transport.next().values();
    assertArrayEquals(gradient, transport.next().values());
    assertArrayEquals(first, transport.next().values());
    release(1);
    expert.tell(backward(1));
    expert.tell(backward(1));
    events.expectMessageClass(ExpertActor.GradientReady.class);
    settle(expert);
    release(2);
    assertSilent();
    assertArrayEquals(expected()[0], state.gradients().flat().toDoubles());
  }

  @Test
  void shouldEvaluateWithoutTouchingTheStep() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    expert.tell(deliver(EPOCH, 1L << 40, 0, Phase.EVALUATE));
    RecordingTransport.Sent sent = transport.next();
    assertEquals(header(EPOCH, 1L << 40, 0, Phase.OUTPUT, 2), sent.header());
    sent.payload().release();
    settle(expert);
    assertEquals(bytesAtRest, device.allocatedBytes());
  }

  @Test
  void shouldStartAgainFromTheCommittedStateWhenItThrowsInForward() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn(new Fault(1, LAYER, EXPERT, Fault.Phase.FORWARD));
    expert.tell(forward(0));
    ExpertActor.Restarted restarted = events.expectMessageClass(ExpertActor.Restarted.class);
    assertEquals(2, restarted.incarnation());
    assertEquals(-1, restarted.gradientStep());
    assertEquals(bytesAtRest, device.allocatedBytes(), "bytes of the last incarnation");
    work(expert, 0, 1);
    events.expectMessageClass(ExpertActor.GradientReady.class);
    assertArrayEquals(expected()[0], state.gradients().flat().toDoubles());
  }

  @Test
  void shouldForgetHalfAGradientWhenItThrowsInBackward() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn(new Fault(1, LAYER, EXPERT, Fault.Phase.BACKWARD));
    expert.tell(forward(0));
    expert.tell(forward(1));
    release(2);
    expert.tell(backward(0));
    events.expectMessageClass(ExpertActor.Restarted.class);
    assertEquals(bytesAtRest, device.allocatedBytes(), "bytes of the last incarnation");
    work(expert, 0, 1);
    events.expectMessageClass(ExpertActor.GradientReady.class);
    assertArrayEquals(expected()[0], state.gradients().flat().toDoubles());
  }

  @Test
  void shouldFinishADecidedStepWhenItThrowsInTheMiddleOfApply() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn(new Fault(1, LAYER, EXPERT, Fault.Phase.APPLY));
    work(expert, 0, 1);
    events.expectMessageClass(ExpertActor.GradientReady.class);
    expert.tell(new ExpertActor.Apply(EPOCH, HYPER));
    assertEquals(1, events.expectMessageClass(ExpertActor.Restarted.class).gradientStep());
    events.expectMessageClass(ExpertActor.GradientReady.class);
    assertEquals(0, state.owned().committedStep());
    expert.tell(new ExpertActor.Apply(EPOCH, HYPER));
    events.expectMessageClass(ExpertActor.Applied.class);
    assertArrayEquals(expected()[1], state.parameters().flat().toDoubles());
  }

  @Test
  void shouldNeitherLoseNorReorderAnswersUnderBackPressure() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    transport.refuse(7);
    expert.tell(forward(1));
    expert.tell(forward(0));
    expert.tell(backward(0));
    expert.tell(backward(1));
    List<String> order = new ArrayList<>();
    for (int i = 0; i < 4; i++) {
      RecordingTransport.Sent sent = transport.next();
      order.add(sent.header().phase() + " " + sent.header().rank());
      sent.payload().release();
    }
    assertEquals(List.of("OUTPUT 1", "OUTPUT 0", "INPUT_GRADIENT 0", "INPUT_GRADIENT 1"), order);
    assertEquals(7, transport.refused());
    settle(expert);
    assertEquals(0, transport.waiting());
  }

  @Test
  void shouldReleaseAnswersThatWaitWhenItStops() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    transport.refuse(Integer.MAX_VALUE);
    expert.tell(forward(0));
    settle(expert);
    KIT.stop(expert);
    assertEquals(bytesAtRest, device.allocatedBytes());
  }

  @Test
  void shouldReportItsGradientAgainWhenTheStepBeginsAnewInAnotherEpoch() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    work(expert, 0, 1);
    events.expectMessageClass(ExpertActor.GradientReady.class);
    KIT.stop(expert);
    state.forgetGradient();
    expert = spawnIn(EPOCH + 1);
    expert.tell(forward(0));
    settle(expert);
    assertSilent();
    for (Phase phase : List.of(Phase.FORWARD, Phase.BACKWARD)) {
      for (int rank = 0; rank < RANKS; rank++) {
        expert.tell(deliver(EPOCH + 1, 1, rank, phase));
      }
    }
    release(4);
    assertEquals(EPOCH + 1, events.expectMessageClass(ExpertActor.GradientReady.class).epoch());
    assertArrayEquals(expected()[0], state.gradients().flat().toDoubles());
    expert.tell(new ExpertActor.Apply(EPOCH + 1, HYPER));
    events.expectMessageClass(ExpertActor.Applied.class);
    assertArrayEquals(expected()[1], state.parameters().flat().toDoubles());
  }

  @Test
  void shouldStopWhenItThrowsAgainAndAgain() throws Exception {
    ActorRef<ExpertActor.Command> expert = spawn();
    for (int i = 0; i < 6; i++) {
      Tensor tooNarrow = device.zeros(2, WIDTH - 1);
      expert.tell(
          new ExpertActor.Deliver(
              header(EPOCH, 1, 0, Phase.FORWARD, 2), TensorPayload.given(tooNarrow)));
    }
    for (int incarnation = 2; incarnation <= 6; incarnation++) {
      ExpertActor.Restarted restarted = events.expectMessageClass(ExpertActor.Restarted.class);
      assertEquals(incarnation, restarted.incarnation());
      assertNotEquals("", restarted.cause());
    }
    events.expectTerminated(expert);
  }

  private static List<RuntimeException> hopeless() {
    return List.of(new UserException("out of memory", "a smaller batch"), new Lost());
  }

  @ParameterizedTest
  @MethodSource("hopeless")
  void shouldStopAtOnceWhenAnotherIncarnationWouldThrowTheSame(RuntimeException failure) {
    ActorRef<ExpertActor.Command> expert = spawn();
    expert.tell(forward(0));
    expert.tell(
        new ExpertActor.TakeSnapshot(
            ignored -> {
              throw failure;
            }));
    events.expectTerminated(expert);
    events.expectNoMessage(Duration.ofMillis(1));
    assertSame(failure, state.incarnations().lastFailure());
  }
}
