package troupe.coordinator.bench;

import com.typesafe.config.ConfigFactory;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.function.BiFunction;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import troupe.coordinator.host.Host;
import troupe.coordinator.wire.WireFormat;
import troupe.coordinator.wire.WireLimits;
import troupe.core.tensor.AdamWStep;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.trunk.LayerStats;

/**
 * Counts what the coordinator says and hears in one training step, on messages as they travel. Only
 * messages that grow with the run are made; nothing is sent. Headers of frames are left out.
 */
public final class ControlTraffic {
  /** Tokens of a rank that a gate sees in a step, each sent to two experts. */
  private static final int ROUTED_ROWS = 2 * 8_192;

  private static final int EPOCH = 5;
  private static final long STEP = 100_000;
  private static final long WARM_UP_NS = 50_000_000;
  private static final int TIMED = 20;

  private final WireFormat format = WireFormat.withoutActors(WireLimits.of(ConfigFactory.load()));
  private final SplittableRandom random = new SplittableRandom(1);
  private final Shape shape;

  private ControlTraffic(Shape shape) {
    this.shape = shape;
  }

  /**
   * A run. Experts and ranks are spread evenly over hosts.
   *
   * @param experts experts a layer
   * @param layers layers with experts
   */
  public record Shape(int experts, int layers, int ranks, int hosts) {
    /** All of them have at least one. */
    public Shape {
      if (Math.min(Math.min(experts, layers), Math.min(ranks, hosts)) < 1) {
        throw new IllegalArgumentException("shape: nothing (expected: at least one of each)");
      }
    }
  }

  /**
   * What the coordinator does in one step.
   *
   * @param sent messages
   * @param received messages
   * @param sentBytes of all messages sent
   * @param receivedBytes of all messages received
   * @param largestBytes of the largest message
   * @param cpuMs milliseconds of one thread to write what is sent and read what is received
   */
  public record Load(
      long sent,
      long received,
      long sentBytes,
      long receivedBytes,
      int largestBytes,
      double cpuMs) {}

  private record Kind(long count, int bytes, double writeNs, double readNs) {}

  /** Measures one step of a run. */
  public static Load measure(Shape shape) {
    return new ControlTraffic(shape).measure();
  }

  private Load measure() {
    int hosts = shape.hosts();
    int routerHosts = Math.min(hosts, shape.ranks());
    AdamWStep hyper = new AdamWStep(1e-3, 0.9, 0.95, 1e-8, STEP, 0.73);
    int ranksOfHost = Math.ceilDiv(shape.ranks(), routerHosts);
    List<Kind> sent = new ArrayList<>();
    sent.add(
        kind(
            routerHosts,
            new Host.ToRouters(EPOCH, new RouterActor.Step(EPOCH, STEP, Duration.ofSeconds(2)))));
    for (int layers : messages(shape.layers())) {
      sent.add(kind(routerHosts, new Host.ToRouters(EPOCH, load(layers))));
    }
    sent.add(kind(routerHosts, new Host.ToRouters(EPOCH, new RouterActor.Apply(EPOCH, hyper))));
    sent.add(kind(hosts, new Host.ToExperts(EPOCH, new ExpertActor.Apply(EPOCH, hyper))));
    List<Kind> received = new ArrayList<>();
    for (int reports : messages(ranksOfHost * shape.layers())) {
      received.add(kind(routerHosts, bundle(routed(reports), List.of())));
    }
    received.add(kind(hosts, bundle(routers(this::ready), experts(this::expertReady))));
    received.add(
        kind(
            hosts,
            bundle(
                routers(rank -> new RouterActor.Applied(EPOCH, STEP, rank)),
                experts(this::expertApplied))));
    double cpuNs =
        sent.stream().mapToDouble(k -> k.count * k.writeNs).sum()
            + received.stream().mapToDouble(k -> k.count * k.readNs).sum();
    return new Load(
        sent.stream().mapToLong(Kind::count).sum(),
        received.stream().mapToLong(Kind::count).sum(),
        sent.stream().mapToLong(k -> k.count * k.bytes).sum(),
        received.stream().mapToLong(k -> k.count * k.bytes).sum(),
        IntStream.concat(
                sent.stream().mapToInt(Kind::bytes), received.stream().mapToInt(Kind::bytes))
            .max()
            .orElseThrow(),
        cpuNs / 1e6);
  }

  /** A message of this kind, written and read. */
  private Kind kind(long count, Object message) {
    byte[] bytes = format.write(message);
    String manifest = format.manifest(message);
    double writeNs = fastestNs(() -> format.write(message));
    double readNs = fastestNs(() -> format.read(manifest, bytes, bytes.length));
    return new Kind(count, bytes.length, writeNs, readNs);
  }

  /** Of several times, since others run on this machine too. */
  private static double fastestNs(Runnable work) {
    long warmUpBegin = System.nanoTime();
    while (System.nanoTime() - warmUpBegin < WARM_UP_NS) {
      work.run();
    }
    long fastest = Long.MAX_VALUE;
    for (int i = 0; i < TIMED; i++) {
      long begin = System.nanoTime();
      work.run();
      fastest = Math.min(fastest, System.nanoTime() - begin);
    }
    return fastest;
  }

  private Host.Bundle bundle(List<RouterActor.Event> routers, List<ExpertActor.Event> experts) {
    return new Host.Bundle(EPOCH, node(), routers, experts);
  }

  /** Of a random number as nodes draw it: five bytes. */
  private static int node() {
    return 2_000_000_000;
  }

  /** How many layers each message holds, when that many are reported as hosts do. */
  private List<Integer> messages(int layers) {
    int full = Math.ceilDiv(Host.NUMBERS_A_MESSAGE, shape.experts());
    List<Integer> messages = new ArrayList<>();
    for (int left = layers; left > 0; left -= full) {
      messages.add(Math.min(full, left));
    }
    return messages;
  }

  private RouterActor.Load load(int layers) {
    SortedMap<Integer, double[]> load_LE = new TreeMap<>();
    for (int layer = 0; layer < layers; layer++) {
      load_LE.put(layer, random.doubles(shape.experts()).toArray());
    }
    return new RouterActor.Load(EPOCH, STEP, load_LE);
  }

  private List<RouterActor.Event> routed(int reports) {
    return Stream.generate(this::routed).limit(reports).toList();
  }

  private RouterActor.Event routed() {
    long[] rows = new long[shape.experts()];
    for (int i = 0; i < ROUTED_ROWS; i++) {
      rows[random.nextInt(rows.length)]++;
    }
    double[] sumP = random.doubles(rows.length).toArray();
    return new RouterActor.Routed(
        EPOCH,
        STEP,
        3,
        1,
        new LayerStats(rows, sumP, 0.7, ROUTED_ROWS / 2, ROUTED_ROWS - 12, 12, 0, 8_000));
  }

  private RouterActor.Event ready(int rank) {
    return new RouterActor.GradientReady(
        EPOCH, STEP, rank, random.nextDouble(), random.nextDouble());
  }

  private ExpertActor.Event expertReady(int layer, int expert) {
    return new ExpertActor.GradientReady(EPOCH, STEP, layer, expert, random.nextDouble());
  }

  private ExpertActor.Event expertApplied(int layer, int expert) {
    return new ExpertActor.Applied(EPOCH, STEP, layer, expert);
  }

  /** Of the ranks of the fullest host. */
  private List<RouterActor.Event> routers(IntFunction<RouterActor.Event> event) {
    int count = Math.ceilDiv(shape.ranks(), shape.hosts());
    return IntStream.range(0, count).mapToObj(event).toList();
  }

  /** Of the experts of the fullest host: the last ones, whose numbers are the longest. */
  private List<ExpertActor.Event> experts(BiFunction<Integer, Integer, ExpertActor.Event> event) {
    int total = shape.layers() * shape.experts();
    int count = Math.ceilDiv(total, shape.hosts());
    List<ExpertActor.Event> events = new ArrayList<>(count);
    for (int i = total - count; i < total; i++) {
      events.add(event.apply(i / shape.experts(), i % shape.experts()));
    }
    return events;
  }
}
