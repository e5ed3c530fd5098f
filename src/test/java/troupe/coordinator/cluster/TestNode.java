package troupe.coordinator.cluster;

import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.actor.typed.Props;
import akka.actor.typed.javadsl.Behaviors;
import akka.actor.typed.receptionist.Receptionist;
import com.typesafe.config.ConfigFactory;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import troupe.coordinator.compute.ComputeThreads;
import troupe.coordinator.host.Host;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/** A node in this JVM: door, joining, membership and a host that does nothing. */
final class TestNode implements AutoCloseable {
  static final int WIRE = 1;
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private final CompletableFuture<Joining.Result> result = new CompletableFuture<>();
  private final LinkedBlockingQueue<Membership.Event> events = new LinkedBlockingQueue<>();
  private final LinkedBlockingQueue<String> progress = new LinkedBlockingQueue<>();
  private final List<String> heard = new ArrayList<>();
  private final ActorSystem<Void> system;
  private final ActorRef<Host.Command> host;

  private TestNode(RunConfig config, UnaryOperator<Identity> disguise, InstantSource clock) {
    Identity identity = disguise.apply(Identity.of(config, WIRE));
    system =
        NodeSystem.start(
            config.cluster(),
            guardian(config, identity, clock),
            // So that terminate() is as abrupt as a crash.
            ConfigFactory.parseMap(
                    Map.of("akka.coordinated-shutdown.run-by-actor-system-terminate", "off"))
                .withFallback(
                    ClusterSettings.node(
                        config.cluster(),
                        ComputeThreads.configure(
                            config.cluster().threads(), ConfigFactory.load()))));
    host = system.systemActorOf(Behaviors.<Host.Command>ignore(), "host", Props.empty());
  }

  /** A node of the default config with these differences, at any free port unless told. */
  static TestNode start(String... overrides) {
    return start(UnaryOperator.identity(), InstantSource.system(), overrides);
  }

  static TestNode start(
      UnaryOperator<Identity> disguise, InstantSource clock, String... overrides) {
    return new TestNode(config(overrides), disguise, clock);
  }

  static RunConfig config(String... overrides) {
    List<String> all = new ArrayList<>(List.of("run.dir=runs/cluster-test", "cluster.port=0"));
    all.addAll(List.of(overrides));
    return ConfigLoader.parse("", all);
  }

  static int freePort() {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private Behavior<Void> guardian(RunConfig config, Identity identity, InstantSource clock) {
    return Behaviors.setup(
        context -> {
          ActorRef<Door.Asked> desk =
              context.spawn(Behaviors.receiveMessage(TestNode::answer), "desk");
          ActorRef<Door.Command> door =
              context.spawn(Door.create(identity, InstantSource.system(), desk), Door.NAME);
          context.spawn(
              Joining.create(
                  new Joining.Settings(
                      identity, config.cluster(), door, clock, System::nanoTime, progress::add),
                  result::complete),
              "joining");
          return Behaviors.empty();
        });
  }

  private static Behavior<Door.Asked> answer(Door.Asked asked) {
    asked
        .replyTo()
        .tell(
            switch (asked.request()) {
              case Door.MoveExpert move when move.node().equals("nowhere") ->
                  new Door.Refused("--to: nowhere (expected: a node)", "name one of nodes.json");
              case Door.MoveExpert move ->
                  new Door.Accepted(move.layer() + "/" + move.expert() + " to " + move.node());
              case Door.Leave leave -> new Door.Accepted(leave.node() + " leaves");
              case Door.Stop stop -> new Door.Accepted("stops");
            });
    return Behaviors.same();
  }

  String address() {
    return NodeSystem.address(system);
  }

  ActorSystem<Void> system() {
    return system;
  }

  ActorRef<Host.Command> host() {
    return host;
  }

  /** Waits until it is in. */
  Joining.Joined joined() throws Exception {
    return switch (result.get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
      case Joining.Joined joined -> joined;
      case Joining.Failed failed -> throw new AssertionError(failed.toString());
    };
  }

  /** Waits until it knows that it is not let in. */
  Joining.Failed failed() throws Exception {
    return switch (result.get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS)) {
      case Joining.Failed failed -> failed;
      case Joining.Joined joined -> throw new AssertionError(joined.toString());
    };
  }

  boolean isDecided() {
    return result.isDone();
  }

  /** Waits until it says that it waits, in words that hold {@code part}. */
  void awaitProgress(String part) throws Exception {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      String line = progress.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
      if (line == null) {
        throw new TimeoutException(part);
      } else if (line.contains(part)) {
        return;
      }
    }
  }

  /** Registers the host and begins to listen to what happens. */
  void watch() {
    system.receptionist().tell(Receptionist.register(Membership.HOSTS, host));
    system.systemActorOf(Membership.create(events::add), "membership", Props.empty());
  }

  /** Waits until something like that has been told. */
  Membership.Event await(String what, Predicate<Membership.Event> wanted) throws Exception {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (true) {
      Membership.Event event = events.poll(end - System.nanoTime(), TimeUnit.NANOSECONDS);
      if (event == null) {
        throw new TimeoutException(what + ", heard: " + heard);
      }
      heard.add(event.toString());
      if (wanted.test(event)) {
        return event;
      }
    }
  }

  /** Waits until all of these have been told, in any order; returns them in the order asked for. */
  List<Membership.Event> awaitAll(String what, List<Predicate<Membership.Event>> wanted)
      throws Exception {
    Map<Predicate<Membership.Event>, Membership.Event> found = new HashMap<>();
    while (found.size() < wanted.size()) {
      await(
          what,
          event ->
              wanted.stream()
                      .filter(one -> one.test(event))
                      .filter(one -> found.putIfAbsent(one, event) == null)
                      .count()
                  > 0);
    }
    return wanted.stream().map(found::get).toList();
  }

  /** Everything that {@link #await} has looked at. */
  List<String> heard() {
    return heard;
  }

  void awaitEnd() throws InterruptedException, ExecutionException, TimeoutException {
    system
        .getWhenTerminated()
        .toCompletableFuture()
        .get(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
  }

  /**
   * As by kill -9: nobody is told. A node that does not end is left behind with a word about it,
   * since how nodes end is what other tests look at.
   */
  @Override
  public void close() {
    system.terminate();
    try {
      awaitEnd();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException e) {
      System.err.println(
          "left behind: node " + system.address() + " did not end within " + PATIENCE);
    }
  }
}
