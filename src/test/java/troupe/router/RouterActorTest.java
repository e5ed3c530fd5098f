package troupe.router;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import troupe.core.UserException;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.tensor.AdamWStep;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.Lost;
import troupe.expert.RecordingTransport;
import troupe.expert.network.TensorPayload;
import troupe.router.gate.CounterDraws;
import troupe.router.trunk.RankState;
import troupe.transport.BatchHeader;
import troupe.transport.Phase;

/** One router with one layer of two experts, which the test itself plays. */
final class RouterActorTest {
  private static final ActorTestKit KIT = ActorTestKit.create();
  private static final int EPOCH = 2;
  private Duration timeout;
  private static final Duration NEVER = Duration.ofHours(1);
  private static final Duration SOON = Duration.ofMillis(30);
  private static final AdamWStep HYPER = new AdamWStep(0.01, 0.9, 0.95, 1e-8, 1, 1);

  private final RunConfig config =
      ConfigLoader.parse(
          "",
          List.of(
              "device=reference",
              "model.vocab=8",
              "model.d_model=4",
              "model.heads=2",
              "model.layers=1",
              "model.d_ff=6",
              "model.seq=4",
              "experts.count=2",
              "train.batch=2",
              "train.ranks=1",
              "train.micro_batches=1"));
  private final Device device = Devices.open("reference");
  private final RankState state = new RankState(device, config, 0);
  private final long bytesAtRest = device.allocatedBytes();
  private final RecordingTransport transport = new RecordingTransport();
  private final TestProbe<RouterActor.Event> events = KIT.createTestProbe();

  @AfterAll
  static void stop() {
    KIT.shutdownTestKit();
  }

  private ActorRef<RouterActor.Command> router;

  @AfterEach
  void close() {
    KIT.stop(router);
    device.close();
  }

  private record Tokens() implements BatchSource {
    private static Batch batch(long stream) {
      int[] tokens = new int[8];
      Arrays.setAll(tokens, i -> (int) ((3L * i + stream) % 8));
      return new Batch(tokens, tokens, 2, 4);
    }

    @Override
    public Batch training(long step, int rank, int microBatch) {
      return batch(step);
    }

    @Override
    public Batch validation(int index, int count) {
      return batch(100 + index);
    }
  }

  private record Placement() implements RouterActor.Placement {
    @Override
    public int nodeOfExpert(int layer, int expert) {
      return 20 + expert;
    }

    @Override
    public int nodeOfRank(int rank) {
      return 10 + rank;
    }
  }

  private void spawn(Duration replyTimeout) {
    timeout = replyTimeout;
    router =
        KIT.spawn(
            RouterActor.create(
                new RouterActor.Settings(
                    7,
                    EPOCH,
                    replyTimeout,
                    transport,
                    new Placement(),
                    new Tokens(),
                    (step, layer, first) -> new CounterDraws(1, step, layer, first),
                    events.ref()),
                state));
  }

  private void settle() throws InterruptedException {
    CountDownLatch settled = new CountDownLatch(1);
    router.tell(new RouterActor.TakeSnapshot(ignored -> settled.countDown()));
    if (!settled.await(10, TimeUnit.SECONDS)) {
      throw new AssertionError("the router does not answer");
    }
  }

  /** The answer of an expert: what it was sent, times {@code factor}. */
  private RouterActor.Deliver answer(RecordingTransport.Sent sent, Phase phase, double factor) {
    Tensor rows = device.allocate(sent.header().rows(), sent.header().columns());
    rows.set(Arrays.stream(sent.values()).map(x -> x * factor).toArray());
    BatchHeader h = sent.header();
    BatchHeader header =
        new BatchHeader(
            h.runId(),
            h.epoch(),
            h.step(),
            h.layer(),
            h.microBatch(),
            h.rank(),
            h.expert(),
            phase,
            h.dtypeCode(),
            h.rows(),
            h.columns());
    return new RouterActor.Deliver(header, TensorPayload.given(rows));
  }

  private void tellLoad() {
    router.tell(new RouterActor.Load(EPOCH, 1, new TreeMap<>(Map.of(0, new double[] {0.5, 0.5}))));
  }

  private RouterActor.Routed beginStep() {
    router.tell(new RouterActor.Step(EPOCH, 1, timeout));
    return events.expectMessageClass(RouterActor.Routed.class);
  }

  @Test
  void shouldWorkThroughAStep() throws Exception {
    spawn(NEVER);
    RouterActor.Routed routed = beginStep();
    assertEquals(8, routed.stats().tokens());
    assertEquals(8, Arrays.stream(routed.stats().routed_E()).sum());
    int rows = 0;
    for (int expert = 0; expert < 2; expert++) {
      RecordingTransport.Sent sent = transport.next();
      assertEquals(20 + expert, sent.node());
      assertEquals(Phase.FORWARD, sent.header().phase());
      assertEquals(expert, sent.header().expert());
      assertTrue(sent.payload().lent(), "rows stay the router's");
      rows += sent.header().rows();
      router.tell(answer(sent, Phase.OUTPUT, 0.5));
    }
    assertEquals(8, rows);
    for (int expert = 0; expert < 2; expert++) {
      RecordingTransport.Sent sent = transport.next();
      assertEquals(Phase.BACKWARD, sent.header().phase());
      assertEquals(expert, sent.header().expert());
      router.tell(answer(sent, Phase.INPUT_GRADIENT, 0.5));
    }
    settle();
    events.expectNoMessage(Duration.ofMillis(1));
    tellLoad();
    RouterActor.GradientReady ready = events.expectMessageClass(RouterActor.GradientReady.class);
    assertTrue(ready.squaredNorm() > 0);
    assertEquals(Math.log(8), ready.lossSum() / 8, 0.1);
    double[] before = state.parameters().flat().toDoubles();
    router.tell(new RouterActor.Apply(EPOCH, HYPER));
    router.tell(new RouterActor.Apply(EPOCH, HYPER));
    events.expectMessage(new RouterActor.Applied(EPOCH, 1, 0));
    double[] after = state.parameters().flat().toDoubles();
    assertTrue(!Arrays.equals(before, after), "parameters moved");
    events.expectMessage(new RouterActor.Applied(EPOCH, 1, 0));
    assertArrayEquals(after, state.parameters().flat().toDoubles());
    KIT.stop(router);
    assertEquals(bytesAtRest, device.allocatedBytes(), "bytes left behind");
  }

  @Test
  void shouldLeaveAStepAloneThatIsAskedForAgain() throws Exception {
    spawn(NEVER);
    beginStep();
    for (Phase phase : List.of(Phase.OUTPUT, Phase.INPUT_GRADIENT)) {
      router.tell(answer(transport.next(), phase, 0.5));
      router.tell(answer(transport.next(), phase, 0.5));
    }
    tellLoad();
    events.expectMessageClass(RouterActor.GradientReady.class);
    router.tell(new RouterActor.Step(EPOCH, 1, timeout));
    router.tell(new RouterActor.Apply(EPOCH, HYPER));
    events.expectMessage(new RouterActor.Applied(EPOCH, 1, 0));
    router.tell(new RouterActor.Step(EPOCH, 1, timeout));
    settle();
    assertEquals(0, transport.waiting(), "experts that have applied a step answer for it no more");
  }

  @Test
  void shouldIgnoreApplyWithoutGradient() throws Exception {
    spawn(NEVER);
    double[] before = state.parameters().flat().toDoubles();
    router.tell(new RouterActor.Apply(EPOCH, HYPER));
    beginStep();
    router.tell(new RouterActor.Apply(EPOCH, HYPER));
    settle();
    events.expectNoMessage(Duration.ofMillis(1));
    assertArrayEquals(before, state.parameters().flat().toDoubles());
  }

  @Test
  void shouldAskAgainWhenAnExpertDoesNotAnswer() throws Exception {
    spawn(SOON);
    beginStep();
    RecordingTransport.Sent first = transport.next();
    RecordingTransport.Sent second = transport.next();
    router.tell(answer(first, Phase.OUTPUT, 1));
    assertEquals(new RouterActor.Late(EPOCH, 1, 0, 0, 1), next());
    RecordingTransport.Sent again = transport.next();
    assertEquals(second.header(), again.header());
    assertArrayEquals(second.values(), again.values());
    router.tell(answer(again, Phase.OUTPUT, 1));
    router.tell(answer(again, Phase.OUTPUT, 1));
    assertEquals(Phase.BACKWARD, nextOf(Phase.BACKWARD).header().phase());
  }

  /** Whoever waits for this rank repeats what it sent; that must not pass for progress. */
  @Test
  void shouldAskAgainWhileOthersRepeatThemselves() throws Exception {
    spawn(SOON);
    beginStep();
    RecordingTransport.Sent first = transport.next();
    router.tell(answer(first, Phase.OUTPUT, 1));
    long deadlineNs = System.nanoTime() + Duration.ofSeconds(10).toNanos();
    // One batch to each expert so far: another one is asked for again.
    while (transport.waiting() < 2 && System.nanoTime() < deadlineNs) {
      router.tell(answer(first, Phase.OUTPUT, 1));
      settle();
    }
    assertEquals(2, transport.waiting(), "an expert is missing, and nobody asks for it");
  }

  /** Skips what was sent again because the test is slow. */
  private RecordingTransport.Sent nextOf(Phase phase) throws InterruptedException {
    RecordingTransport.Sent sent = transport.next();
    while (sent.header().phase() != phase) {
      sent = transport.next();
    }
    return sent;
  }

  @Test
  void shouldSayThatItWaitsForTheLoad() throws Exception {
    spawn(SOON);
    beginStep();
    router.tell(answer(transport.next(), Phase.OUTPUT, 1));
    router.tell(answer(transport.next(), Phase.OUTPUT, 1));
    router.tell(answer(nextOf(Phase.BACKWARD), Phase.INPUT_GRADIENT, 1));
    router.tell(answer(nextOf(Phase.BACKWARD), Phase.INPUT_GRADIENT, 1));
    RouterActor.Event event = next();
    while (event instanceof RouterActor.Late late && late.expert() >= 0) {
      event = next();
    }
    assertEquals(new RouterActor.Late(EPOCH, 1, 0, 0, -1), event);
  }

  @Test
  void shouldSendTheSameBatchesInTheSameOrderWhenAnExpertLostThem() throws Exception {
    spawn(NEVER);
    beginStep();
    RecordingTransport.Sent first = transport.next();
    RecordingTransport.Sent second = transport.next();
    router.tell(answer(first, Phase.OUTPUT, 1));
    router.tell(answer(second, Phase.OUTPUT, 1));
    transport.next();
    RecordingTransport.Sent gradient = transport.next();
    router.tell(new RouterActor.Resend(EPOCH - 1, 0, 1));
    router.tell(new RouterActor.Resend(EPOCH, 0, 1));
    RecordingTransport.Sent secondAgain = transport.next();
    assertEquals(second.header(), secondAgain.header());
    assertArrayEquals(second.values(), secondAgain.values());
    RecordingTransport.Sent gradientAgain = transport.next();
    assertEquals(gradient.header(), gradientAgain.header());
    assertArrayEquals(gradient.values(), gradientAgain.values());
    settle();
    assertEquals(0, transport.waiting());
  }

  @Test
  void shouldNotTakeRowsOfAWrongShapeForAnAnswer() throws Exception {
    spawn(NEVER);
    beginStep();
    RecordingTransport.Sent sent = transport.next();
    settle();
    long bytes = device.allocatedBytes();
    Tensor rows = device.zeros(sent.header().rows() + 1, sent.header().columns());
    router.tell(
        new RouterActor.Deliver(answer(sent, Phase.OUTPUT, 1).header(), TensorPayload.given(rows)));
    settle();
    // The answer that only lent its header is still there.
    assertEquals(
        bytes + 8L * sent.header().rows() * sent.header().columns(), device.allocatedBytes());
  }

  @Test
  void shouldNameTheExpertWhoseOutputIsNotFinite() throws Exception {
    spawn(NEVER);
    beginStep();
    RecordingTransport.Sent first = transport.next();
    RecordingTransport.Sent second = transport.next();
    router.tell(answer(first, Phase.OUTPUT, 1));
    router.tell(answer(second, Phase.OUTPUT, Double.NaN));
    RouterActor.Diverged diverged = events.expectMessageClass(RouterActor.Diverged.class);
    assertEquals(1, diverged.step());
    assertTrue(diverged.where().contains("layer=0 expert=1"), diverged.where());
    settle();
    assertEquals(bytesAtRest, device.allocatedBytes(), "bytes left behind");
  }

  @Test
  void shouldBeginAgainWhenItThrew() throws Exception {
    spawn(NEVER);
    router.tell(
        new RouterActor.TakeSnapshot(
            ignored -> {
              throw new IllegalStateException("injected");
            }));
    RouterActor.Restarted restarted = events.expectMessageClass(RouterActor.Restarted.class);
    assertEquals(2, restarted.incarnation());
    assertTrue(restarted.cause().contains("injected"));
    beginStep();
  }

  /** Passes over what a router says on the way: that it moves, and what the gate has seen. */
  private RouterActor.Event next() {
    RouterActor.Event event = events.receiveMessage();
    while (event instanceof RouterActor.Routed || event instanceof RouterActor.Moving) {
      event = events.receiveMessage();
    }
    return event;
  }

  private int[] generate(long id, Sampling sampling, int count) throws InterruptedException {
    router.tell(new RouterActor.Generate(EPOCH, id, new int[] {1, 2, 3}, count, -1, sampling));
    for (int i = 0; i < 2 * count; i++) {
      RecordingTransport.Sent sent = transport.next();
      assertEquals(Phase.EVALUATE, sent.header().phase());
      router.tell(answer(sent, Phase.OUTPUT, 3));
      sent.payload().release();
    }
    return ((RouterActor.Generated) next()).tokens();
  }

  @Test
  void shouldGenerateTheSameFromTheSameSeed() throws Exception {
    spawn(NEVER);
    int[] first = generate(1000, new Sampling(1, 0, 5), 9);
    assertArrayEquals(first, generate(2000, new Sampling(1, 0, 5), 9));
    assertNotEquals(
        Arrays.toString(first), Arrays.toString(generate(3000, new Sampling(1, 0, 6), 9)));
    assertEquals(12, first.length);
    assertArrayEquals(new int[] {1, 2, 3}, Arrays.copyOf(first, 3));
    int[] greedy = generate(4000, new Sampling(0, 0, 5), 9);
    assertArrayEquals(greedy, generate(5000, new Sampling(0, 0, 6), 9));
    assertArrayEquals(greedy, generate(6000, new Sampling(1, 1, 6), 9));
    settle();
    assertEquals(bytesAtRest, device.allocatedBytes(), "bytes left behind");
  }

  @Test
  void shouldEvaluateItsShare() throws Exception {
    spawn(NEVER);
    router.tell(new RouterActor.Evaluate(EPOCH, 500, 3));
    for (int i = 0; i < 6; i++) {
      RecordingTransport.Sent sent = transport.next();
      assertEquals(500 + i / 2, sent.header().step());
      router.tell(answer(sent, Phase.OUTPUT, 1));
      sent.payload().release();
    }
    RouterActor.Evaluated evaluated = (RouterActor.Evaluated) next();
    assertEquals(24, evaluated.tokens());
    // An untrained model of 8 tokens knows next to nothing.
    assertEquals(Math.log(8), evaluated.lossSum() / 24, 0.3);
    settle();
    assertEquals(bytesAtRest, device.allocatedBytes(), "bytes left behind");
  }

  @Test
  void shouldNotTakeBackRowsThatALateExpertHasYetToEvaluate() throws Exception {
    spawn(SOON);
    router.tell(new RouterActor.Evaluate(EPOCH, 500, 1));
    RecordingTransport.Sent first = transport.next();
    RecordingTransport.Sent second = transport.next();
    RecordingTransport.Sent again = transport.next();
    assertEquals(first.header(), again.header());
    router.tell(answer(first, Phase.OUTPUT, 1));
    router.tell(answer(second, Phase.OUTPUT, 1));
    RouterActor.Event event = next();
    while (event instanceof RouterActor.Late) {
      event = next();
    }
    assertEquals(8, ((RouterActor.Evaluated) event).tokens());
    assertArrayEquals(first.values(), again.values());
  }

  private static List<RuntimeException> hopeless() {
    return List.of(new UserException("out of memory", "a smaller batch"), new Lost());
  }

  @ParameterizedTest
  @MethodSource("hopeless")
  void shouldStopAtOnceWhenAnotherIncarnationWouldThrowTheSame(RuntimeException failure) {
    spawn(NEVER);
    router.tell(
        new RouterActor.TakeSnapshot(
            ignored -> {
              throw failure;
            }));
    events.expectTerminated(router);
    events.expectNoMessage(Duration.ofMillis(1));
  }
}
