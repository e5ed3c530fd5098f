package troupe.router;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.data.Batch;
import troupe.core.tensor.Device;
import troupe.core.tensor.Devices;
import troupe.core.tensor.Tensor;
import troupe.expert.RecordingTransport;
import troupe.expert.RecordingTransport.Sent;
import troupe.expert.network.TensorPayload;
import troupe.router.gate.CounterDraws;
import troupe.router.trunk.RankState;
import troupe.router.trunk.Segments.Segment;
import troupe.transport.BatchHeader;
import troupe.transport.Phase;

/**
 * One router of two, with two layers of two experts: the test plays the experts and the other rank.
 * The trunk's gradient goes out while backward runs.
 */
final class RouterOverlapTest {
  private static final ActorTestKit KIT = ActorTestKit.create();
  private static final int EPOCH = 2;
  private static final int LAYERS = 2;
  private static final int EXPERTS = 2;
  private static final Duration NEVER = Duration.ofHours(1);
  private static final Duration SOON = Duration.ofMillis(30);

  private final RunConfig config =
      ConfigLoader.parse(
          "",
          List.of(
              "device=reference",
              "model.vocab=256",
              "model.d_model=64",
              "model.heads=2",
              "model.layers=" + LAYERS,
              "model.d_ff=6",
              "model.seq=4",
              "experts.count=" + EXPERTS,
              "train.batch=4",
              "train.ranks=2",
              "train.micro_batches=2"));
  private final Device device = Devices.open("reference");
  private final RecordingTransport transport = new RecordingTransport();
  private final TestProbe<RouterActor.Event> events = KIT.createTestProbe();
  private final List<Sent> sentGradients = new ArrayList<>();
  private final List<double[]> valuesWhenSent = new ArrayList<>();
  private RankState state;
  private ActorRef<RouterActor.Command> router;

  @AfterAll
  static void stop() {
    KIT.shutdownTestKit();
  }

  @AfterEach
  void close() {
    KIT.stop(router);
    device.close();
  }

  private record Tokens() implements BatchSource {
    @Override
    public Batch training(long step, int rank, int microBatch) {
      int[] tokens = new int[4];
      Arrays.setAll(tokens, i -> (int) ((7L * i + step + 3L * rank + microBatch) % 256));
      return new Batch(tokens, tokens, 1, 4);
    }

    @Override
    public Batch validation(int index, int count) {
      return training(index, 0, 0);
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

  private void begin(int rank, Duration replyTimeout) {
    state = new RankState(device, config, rank);
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
    router.tell(new RouterActor.Step(EPOCH, 1, replyTimeout));
  }

  private void load(int layer) {
    router.tell(
        new RouterActor.Load(EPOCH, 1, new TreeMap<>(Map.of(layer, new double[] {0.5, 0.5}))));
  }

  private void settle() throws InterruptedException {
    CountDownLatch settled = new CountDownLatch(1);
    router.tell(new RouterActor.TakeSnapshot(ignored -> settled.countDown()));
    assertTrue(settled.await(10, TimeUnit.SECONDS), "the router answers");
  }

  /** Answers what was sent to all experts of a layer in a phase with the rows themselves. */
  private void answer(List<Sent> batches) {
    for (Sent sent : batches) {
      BatchHeader h = sent.header();
      Tensor rows = device.allocate(h.rows(), h.columns());
      rows.set(sent.values());
      Phase phase = h.phase() == Phase.FORWARD ? Phase.OUTPUT : Phase.INPUT_GRADIENT;
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
      router.tell(new RouterActor.Deliver(header, TensorPayload.given(rows)));
    }
  }

  /** The batches of one layer and phase: two micro-batches for two experts, and nothing else. */
  private List<Sent> rows(Phase phase, int layer) throws InterruptedException {
    List<Sent> batches = new ArrayList<>();
    for (int i = 0; i < 2 * EXPERTS; i++) {
      Sent sent = transport.next();
      assertEquals(phase, sent.header().phase(), "layer " + layer);
      assertEquals(layer, sent.header().layer());
      batches.add(sent);
    }
    return batches;
  }

  private List<Sent> forward() throws InterruptedException {
    answer(rows(Phase.FORWARD, 0));
    answer(rows(Phase.FORWARD, 1));
    List<Sent> gradients = rows(Phase.BACKWARD, 1);
    settle();
    return gradients;
  }

  /** Takes the segments that are final after the backward of a layer, and nothing else. */
  private void takeSegments(int owner, int finalAfter) throws InterruptedException {
    int taken = 0;
    for (Segment segment : state.segments().of(owner)) {
      if (segment.finalAfter() == finalAfter) {
        Sent sent = transport.next();
        assertEquals(Phase.TRUNK_GRADIENT, sent.header().phase());
        assertEquals(10 + owner, sent.node());
        assertEquals(segment.number(), sent.header().microBatch());
        assertEquals(owner, sent.header().expert());
        assertEquals(state.rank(), sent.header().rank());
        assertEquals(segment.count(), sent.header().columns());
        assertTrue(sent.payload().lent(), "stays the rank's");
        sentGradients.add(sent);
        valuesWhenSent.add(sent.values());
        taken++;
      }
    }
    assertTrue(taken > 0, "the other rank has a segment of layer " + finalAfter);
    settle();
    assertEquals(0, transport.waiting(), "nothing else after layer " + finalAfter);
  }

  @Test
  void shouldSendSegmentsWhileBackwardRuns() throws Exception {
    begin(0, NEVER);
    List<Sent> gradients1 = forward();
    assertEquals(0, transport.waiting(), "others may not have begun before there is a load");
    load(0);
    takeSegments(1, 2);
    load(1);
    answer(gradients1);
    List<Sent> gradients0 = rows(Phase.BACKWARD, 0);
    takeSegments(1, 1);
    // Backward of layer 0 waits for its experts, and most of the gradient is on its way.
    answer(gradients0);
    takeSegments(1, 0);
    assertEquals(state.segments().of(1).size(), sentGradients.size());
    for (int i = 0; i < sentGradients.size(); i++) {
      assertArrayEquals(sentGradients.get(i).values(), valuesWhenSent.get(i), "lent, so unchanged");
    }
  }

  @Test
  void shouldSumSegmentsOfOthersAsTheyComeAndReportOnce() throws Exception {
    begin(1, NEVER);
    List<Segment> own = state.segments().of(1);
    double[] other = new double[state.slices().count(1)];
    Arrays.setAll(other, i -> 1e-3 * (i % 1000 + 1));
    load(0);
    load(1);
    // All of the other rank's before anything of this one's, the last first, and all twice.
    for (Segment segment : List.of(own.get(2), own.get(0), own.get(1), own.get(0), own.get(2))) {
      router.tell(ofRank0(segment, other));
    }
    List<Sent> gradients1 = forward();
    answer(gradients1);
    answer(rows(Phase.BACKWARD, 0));
    Sent toRank0 = transport.next();
    assertEquals(Phase.TRUNK_GRADIENT, toRank0.header().phase());
    router.tell(ofRank0(own.get(1), other));
    settle();
    RouterActor.GradientReady ready = nextReady();
    double[] sum = state.gradientSum().toDoubles();
    double[] gradient = state.gradientSlice(1).toDoubles();
    assertNotEquals(0, Arrays.stream(gradient).map(Math::abs).max().orElseThrow());
    double squares = 0;
    for (int i = 0; i < sum.length; i++) {
      assertEquals(other[i] + gradient[i], sum[i], 0, "element " + i);
      squares += sum[i] * sum[i];
    }
    assertEquals(squares, ready.squaredNorm(), 1e-9 * squares);
    events.expectNoMessage(Duration.ofMillis(1));
  }

  @Test
  void shouldNotReportBeforeTheLastSegmentOfTheOthers() throws Exception {
    begin(1, NEVER);
    List<Segment> own = state.segments().of(1);
    double[] other = new double[state.slices().count(1)];
    load(0);
    load(1);
    answer(forward());
    answer(rows(Phase.BACKWARD, 0));
    for (Segment segment : own.subList(1, own.size())) {
      router.tell(ofRank0(segment, other));
      router.tell(ofRank0(segment, other));
    }
    settle();
    events.receiveSeveralMessages(LAYERS).forEach(this::assertRouted);
    events.expectNoMessage(Duration.ofMillis(1));
    router.tell(ofRank0(own.getFirst(), other));
    events.expectMessageClass(RouterActor.GradientReady.class);
  }

  @Test
  void shouldSendAllSegmentsAgainWhenNothingMoves() throws Exception {
    begin(0, SOON);
    load(0);
    load(1);
    List<BatchHeader> first = new ArrayList<>();
    List<BatchHeader> again = new ArrayList<>();
    int segments = state.segments().of(1).size();
    while (again.size() < segments) {
      Sent sent = transport.next();
      if (sent.header().phase() == Phase.TRUNK_GRADIENT) {
        (first.size() < segments ? first : again).add(sent.header());
      } else {
        answer(List.of(sent));
      }
    }
    assertEquals(sorted(first), sorted(again));
    assertEquals(segments, sorted(first).stream().distinct().count());
  }

  private static List<BatchHeader> sorted(List<BatchHeader> headers) {
    return headers.stream().sorted(Comparator.comparingInt(BatchHeader::microBatch)).toList();
  }

  private void assertRouted(RouterActor.Event event) {
    assertTrue(event instanceof RouterActor.Routed, event::toString);
  }

  private RouterActor.GradientReady nextReady() {
    events.receiveSeveralMessages(LAYERS).forEach(this::assertRouted);
    return events.expectMessageClass(RouterActor.GradientReady.class);
  }

  private RouterActor.Deliver ofRank0(Segment segment, double[] slice) {
    int from = Math.toIntExact(segment.from() - state.slices().from(1));
    Tensor rows = device.allocate(1, segment.count());
    rows.set(Arrays.copyOfRange(slice, from, from + segment.count()));
    BatchHeader header =
        new BatchHeader(
            7,
            EPOCH,
            1,
            -1,
            segment.number(),
            0,
            1,
            Phase.TRUNK_GRADIENT,
            rows.dtype().code(),
            1,
            segment.count());
    return new RouterActor.Deliver(header, TensorPayload.given(rows));
  }
}
