package troupe.coordinator;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import akka.actor.testkit.typed.javadsl.ActorTestKit;
import akka.actor.testkit.typed.javadsl.TestProbe;
import akka.actor.typed.ActorRef;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import troupe.coordinator.events.Outcome;
import troupe.coordinator.events.RunEvent;
import troupe.coordinator.host.EpochPlan;
import troupe.coordinator.host.Host;
import troupe.coordinator.host.Inventory;
import troupe.coordinator.host.ShardCatalog;
import troupe.coordinator.host.ShardId;
import troupe.coordinator.placement.NodeInfo;
import troupe.coordinator.placement.Placement;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;
import troupe.core.tensor.DType;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.trunk.LayerStats;

/**
 * A coordinator of two ranks and two experts, whose hosts the test plays and whose time the test
 * makes: nothing happens but what it says.
 */
final class PlayedRun implements AutoCloseable {
  static final long TOKENS_OF_RANK = 8;
  private static final Duration CHECK = Duration.ofMillis(500);
  private static final int WAIT_SECONDS = 20;

  private final ActorTestKit kit = ActorTestKit.create(PlayedTime.config());
  private final PlayedTime time = (PlayedTime) kit.system().classicSystem().scheduler();
  private final AtomicLong nowNs = new AtomicLong();
  private final BlockingQueue<Object> heard = new LinkedBlockingQueue<>();
  private final List<Object> told = new ArrayList<>();
  private final AtomicInteger refusals = new AtomicInteger();
  private final List<PlayedHost> hosts = new ArrayList<>();
  private final RunConfig config;
  private List<RunTask> tasks;
  private final AtomicLong checkpointProgress = new AtomicLong();
  private boolean writes = true;
  private boolean throwing;
  private int settled;
  private EpochPlan plan;
  private ActorRef<Coordinator.Command> coordinator;

  /** What the coordinator asked of the checkpoint writer. */
  record Asked(String what, int epoch, long step) {}

  /** A host whose node the cluster was told to remove. */
  record Expelled(ActorRef<Host.Command> host) {}

  /** A validation that was told of. */
  record Validated(long step, double loss, long tokens) {}

  /** A text that was told of. */
  record Text(List<Integer> tokens) {}

  /** A node that the test plays. */
  final class PlayedHost {
    final NodeInfo info;
    final TestProbe<Host.Command> probe = kit.createTestProbe();
    final SortedSet<Long> steps = new TreeSet<>();
    long diskStep = -1;
    boolean leaving;
    Placement placement;

    private PlayedHost(int node, List<Long> devices) {
      info = new NodeInfo(node, "node-" + node, "", node, "", "m", "", "cpu", devices, 1);
    }

    int node() {
      return info.node();
    }

    /** Says that every shard is here as it was after these steps. */
    PlayedHost holds(long... atSteps) {
      steps.clear();
      Arrays.stream(atSteps).forEach(steps::add);
      return this;
    }

    <T extends Host.Command> T expect(Class<T> type) {
      return probe.expectMessageClass(type, Duration.ofSeconds(WAIT_SECONDS));
    }

    RouterActor.Command expectForRouters() {
      return expect(Host.ToRouters.class).command();
    }

    <T extends RouterActor.Command> T expectForRouters(Class<T> type) {
      RouterActor.Command command = expectForRouters();
      assertTrue(type.isInstance(command), () -> "expected " + type + " but was " + command);
      return type.cast(command);
    }

    Host.Report expectReport(int epoch) {
      Host.Report report = expect(Host.Report.class);
      assertEquals(epoch, report.epoch());
      return report;
    }

    void report(int epoch) {
      SortedMap<ShardId, SortedSet<Long>> held = new TreeMap<>();
      new ShardCatalog(config, DType.F64).shards().forEach(shard -> held.put(shard, steps));
      tell(
          new Host.Reported(
              epoch,
              info,
              probe.ref(),
              new Inventory(held, diskStep, placement),
              leaving,
              plan == null ? List.of() : plan.nodes(),
              0));
    }

    /** Becomes what the plan says, but does not say so yet. */
    EpochPlan expectPrepare(int epoch) {
      Host.Prepare prepare = expect(Host.Prepare.class);
      assertEquals(epoch, prepare.plan().epoch());
      plan = prepare.plan();
      placement = plan.placement();
      return plan;
    }

    void prepared(int epoch) {
      tell(new Host.Prepared(epoch, node()));
    }

    Host.Failed failed(int epoch, String message) {
      return new Host.Failed(epoch, node(), probe.ref(), message, "resume=true", false);
    }

    Host.Failed mistaken(int epoch, String message) {
      return new Host.Failed(epoch, node(), probe.ref(), message, "resume=true", true);
    }

    boolean hasRank() {
      return plan.placement().nodesOfRanks().contains(node());
    }

    boolean hasExpert() {
      return plan.placement().nodesOfExperts().contains(node());
    }

    void expectNothing() {
      probe.expectNoMessage(Duration.ofMillis(5));
    }
  }

  /** A run of this config with these differences, and no hosts yet. */
  PlayedRun(String... overrides) {
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
                "replicate.every=0",
                "schedule.warmup_steps=0",
                "schedule.type=constant",
                "optimizer.clip=1",
                "cluster.reply_timeout_seconds=10",
                "cluster.join_timeout_seconds=60"));
    all.addAll(List.of(overrides));
    config = ConfigLoader.parse("", all);
    tasks = List.of(new RunTask.Train(config.train().steps()));
  }

  PlayedRun tasks(RunTask... all) {
    tasks = List.of(all);
    return this;
  }

  /** Checkpoints that are begun do not end by themselves. */
  PlayedRun withoutWriting() {
    writes = false;
    return this;
  }

  /** The checkpoint writer is busy so many times. */
  PlayedRun busy(int times) {
    refusals.set(times);
    return this;
  }

  /** One more shard of a checkpoint has come, or is on the disk. */
  void checkpointMoves() {
    checkpointProgress.incrementAndGet();
  }

  PlayedRun throwing() {
    throwing = true;
    return this;
  }

  PlayedHost host(int node) {
    return host(node, 1);
  }

  PlayedHost host(int node, int devices) {
    PlayedHost host = new PlayedHost(node, Collections.nCopies(devices, 1L << 30));
    hosts.add(host);
    return host;
  }

  /** Starts a coordinator on the node of the first host; forgets the one before. */
  void start(PlayedHost... present) {
    if (coordinator != null) {
      kit.stop(coordinator);
    }
    coordinator =
        kit.spawn(
            Coordinator.create(
                new Coordinator.Settings(
                    config,
                    present[0].node(),
                    config.cluster().nodes(),
                    tasks,
                    new Checkpoints(),
                    new Listener(),
                    host -> heard.add(new Expelled(host)),
                    nowNs::get)));
    present(present);
  }

  void present(PlayedHost... present) {
    coordinator.tell(
        new Coordinator.HostsChanged(
            Arrays.stream(present).map(host -> host.probe.ref()).collect(Collectors.toSet())));
  }

  /** All these hosts report, are told a plan and become it. */
  EpochPlan enter(int epoch, PlayedHost... all) {
    for (PlayedHost host : all) {
      host.expectReport(epoch);
      host.report(epoch);
    }
    return prepare(epoch, all);
  }

  EpochPlan prepare(int epoch, PlayedHost... all) {
    for (PlayedHost host : all) {
      host.expectPrepare(epoch);
    }
    for (PlayedHost host : all) {
      host.prepared(epoch);
    }
    return plan;
  }

  EpochPlan plan() {
    return plan;
  }

  void tell(Coordinator.Command command) {
    coordinator.tell(command);
  }

  void tell(Host.Event event) {
    coordinator.tell(new Coordinator.FromHost(event));
  }

  void tell(int epoch, RouterActor.Event... events) {
    tell(new Host.Bundle(epoch, 1, List.of(events), List.of()));
  }

  void tell(int epoch, ExpertActor.Event... events) {
    tell(new Host.Bundle(epoch, 1, List.of(), List.of(events)));
  }

  void routed(int epoch, long step, int rank, long... routed_E) {
    tell(
        epoch,
        new RouterActor.Routed(
            epoch,
            step,
            rank,
            0,
            new LayerStats(
                routed_E,
                new double[] {4, 4},
                2,
                TOKENS_OF_RANK,
                Arrays.stream(routed_E).sum() - 1,
                1,
                0,
                3)));
  }

  void ready(int epoch, long step) {
    for (int i = 0; i < 2; i++) {
      tell(epoch, new RouterActor.GradientReady(epoch, step, i, 16, 1));
      tell(epoch, new ExpertActor.GradientReady(epoch, step, 0, i, 1));
    }
  }

  void applied(int epoch, long step) {
    for (int i = 0; i < 2; i++) {
      tell(epoch, new RouterActor.Applied(epoch, step, i));
      tell(epoch, new ExpertActor.Applied(epoch, step, 0, i));
    }
  }

  List<PlayedHost> withRanks() {
    return members().stream().filter(PlayedHost::hasRank).toList();
  }

  List<PlayedHost> withExperts() {
    return members().stream().filter(PlayedHost::hasExpert).toList();
  }

  private List<PlayedHost> members() {
    Set<Integer> nodes = new HashSet<>();
    plan.nodes().forEach(info -> nodes.add(info.node()));
    return hosts.stream().filter(host -> nodes.contains(host.node())).toList();
  }

  void expectStep(int epoch, long step) {
    for (PlayedHost host : withRanks()) {
      RouterActor.Step said = host.expectForRouters(RouterActor.Step.class);
      assertEquals(epoch, said.epoch());
      assertEquals(step, said.step());
    }
  }

  void expectLoad(int epoch, long step) {
    for (PlayedHost host : withRanks()) {
      RouterActor.Load load = host.expectForRouters(RouterActor.Load.class);
      assertEquals(epoch, load.epoch());
      assertEquals(step, load.step());
      assertEquals(Set.of(0), load.load_LE().keySet());
      assertArrayEquals(new double[] {0.75, 0.25}, load.load_LE().get(0));
    }
  }

  void collect(int epoch, long step) {
    expectStep(epoch, step);
    routed(epoch, step, 0, 6, 2);
    routed(epoch, step, 1, 6, 2);
    expectLoad(epoch, step);
  }

  ExpertActor.Apply expectApply(int epoch, long step) {
    ExpertActor.Apply apply = null;
    for (PlayedHost host : members()) {
      if (host.hasRank()) {
        RouterActor.Apply ofRouters = host.expectForRouters(RouterActor.Apply.class);
        assertEquals(step, ofRouters.hyper().step());
      }
      if (host.hasExpert()) {
        apply = (ExpertActor.Apply) host.expect(Host.ToExperts.class).command();
        assertEquals(epoch, apply.epoch());
        assertEquals(step, apply.hyper().step());
      }
    }
    return apply;
  }

  /** The step up to the decision. */
  void decide(int epoch, long step) {
    collect(epoch, step);
    ready(epoch, step);
    expectApply(epoch, step);
  }

  /** The whole step. */
  void commit(int epoch, long step) {
    decide(epoch, step);
    applied(epoch, step);
  }

  /** Nothing else was sent to anyone. */
  void expectNothing() throws InterruptedException {
    settle();
    hosts.forEach(PlayedHost::expectNothing);
  }

  /** Lets time pass, and the coordinator see so twice a second. */
  void pass(Duration duration) throws InterruptedException {
    settle();
    for (long ms = 0; ms < duration.toMillis(); ms += CHECK.toMillis()) {
      nowNs.addAndGet(CHECK.toNanos());
      time.pass(CHECK);
      settle();
    }
  }

  /** The same with timers only: the clock of steps and deadlines stands still. */
  void passTimers(Duration duration) throws InterruptedException {
    settle();
    time.pass(duration);
    settle();
  }

  /** Waits until the coordinator has dealt with everything it was told, or is at its end. */
  void settle() throws InterruptedException {
    // Twice: what it is told by itself meanwhile comes after the first mark.
    awaitMark();
    awaitMark();
  }

  private void awaitMark() throws InterruptedException {
    if (!told.isEmpty() && told.getLast() instanceof Outcome) {
      return;
    }
    RunEvent mark = new RunEvent.Suspected("mark " + settled++);
    coordinator.tell(new Coordinator.Noticed(mark));
    for (Object one = null; !mark.equals(one) && !(one instanceof Outcome); ) {
      one = heard.poll(WAIT_SECONDS, TimeUnit.SECONDS);
      assertTrue(one != null, "the coordinator answers");
      if (!mark.equals(one)) {
        told.add(one);
      }
    }
  }

  /** Everything of a kind that was told so far. */
  <T> List<T> told(Class<T> type) throws InterruptedException {
    settle();
    return told.stream().filter(type::isInstance).map(type::cast).toList();
  }

  /** The one thing of a kind that was told. */
  <T> T only(Class<T> type) throws InterruptedException {
    List<T> all = told(type);
    assertEquals(1, all.size(), told::toString);
    return all.getFirst();
  }

  List<Long> committed() throws InterruptedException {
    return told(StepReport.class).stream().map(StepReport::step).toList();
  }

  /** Steps of checkpoints that were begun. */
  List<Long> begun() throws InterruptedException {
    return told(Asked.class).stream()
        .filter(asked -> asked.what().equals("begin"))
        .map(Asked::step)
        .toList();
  }

  private final class Checkpoints implements CheckpointCollector {
    @Override
    public Begun begin(int epoch, long step) {
      if (refusals.getAndUpdate(left -> Math.max(0, left - 1)) > 0) {
        return Begun.BUSY;
      }
      heard.add(new Asked("begin", epoch, step));
      if (writes) {
        coordinator.tell(new Coordinator.CheckpointEnded(epoch, step, null, null));
      }
      return Begun.STARTED;
    }

    @Override
    public void abort(int epoch, long step, String reason) {
      heard.add(new Asked("abort", epoch, step));
    }

    @Override
    public long progress() {
      return checkpointProgress.get();
    }
  }

  private final class Listener implements RunListener {
    @Override
    public void committed(StepReport report) {
      heard.add(report);
      if (throwing) {
        throw new IllegalStateException("injected");
      }
    }

    @Override
    public void evaluated(long step, double loss, long tokens) {
      heard.add(new Validated(step, loss, tokens));
    }

    @Override
    public void generated(int[] tokens) {
      heard.add(new Text(Arrays.stream(tokens).boxed().toList()));
    }

    @Override
    public void notice(String line) {
      heard.add(line);
    }

    @Override
    public void epochBegan(EpochPlan began, String on) {
      heard.add(began);
    }

    @Override
    public void happened(RunEvent event) {
      heard.add(event);
    }

    @Override
    public void finished(Outcome outcome) {
      heard.add(outcome);
    }
  }

  @Override
  public void close() {
    kit.shutdownTestKit();
  }
}
