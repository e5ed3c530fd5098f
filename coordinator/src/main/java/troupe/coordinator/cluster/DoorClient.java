package troupe.coordinator.cluster;

import akka.actor.typed.ActorSystem;
import akka.actor.typed.javadsl.AskPattern;
import akka.actor.typed.javadsl.Behaviors;
import java.net.DatagramSocket;
import java.net.InetSocketAddress;
import java.net.SocketException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.cluster.SeedProbe.Finding;
import troupe.coordinator.cluster.SeedProbe.Kind;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

/** Asks something of a run that is running, from a process that is no node of it. */
public final class DoorClient {
  private static final Logger LOG = LoggerFactory.getLogger(DoorClient.class);

  /** How long connections have to close. */
  private static final Duration GOODBYE = Duration.ofSeconds(10);

  private static final String HINT =
      "is the run still running? nodes.json in its folder lists its nodes";

  private final String run;
  private final String tlsDirectory;
  private final SeedProbe probe;

  /**
   * @param config of the run
   * @throws UserException if it asks for TLS and the files for that are wrong
   */
  public DoorClient(RunConfig config) {
    this.run = Identity.runName(config);
    this.tlsDirectory = config.cluster().tlsDirectory();
    this.probe = new SeedProbe(tlsDirectory);
  }

  /**
   * Asks one node after the other until one answers; blocks.
   *
   * @param addresses of nodes, each {@code HOST:PORT}
   * @param perNode how long to wait for each
   * @return what the run says it will do
   * @throws UserException if no node answers, or the answer is no
   */
  public Door.Accepted ask(List<String> addresses, Door.Request request, Duration perNode) {
    List<String> why = new ArrayList<>();
    for (String address : addresses) {
      Finding finding = probe.probe(address);
      if (finding.kind() != Kind.LISTENER) {
        why.add(address + " " + finding.why());
        continue;
      }
      try {
        switch (askAt(address, request, perNode)) {
          case Door.Accepted accepted -> {
            return accepted;
          }
          case Door.Refused refused -> throw new UserException(refused.message(), refused.hint());
          case Door.Welcome welcome -> why.add(address + " answers out of turn");
          case Door.NotYet notYet -> why.add(address + " " + notYet.why());
        }
      } catch (CompletionException e) {
        if (!(e.getCause() instanceof TimeoutException)) {
          throw e;
        }
        why.add(address + " gave no answer within " + perNode.toMillis() / 1000.0 + " s");
      }
    }
    throw new UserException(
        "no node of run "
            + run
            + " answers: "
            + (why.isEmpty() ? "none is known" : String.join("; ", why))
            + " (expected: one that does)",
        HINT);
  }

  private Door.Reply askAt(String address, Door.Request request, Duration patience) {
    ActorSystem<Void> visitor =
        ActorSystem.create(
            Behaviors.empty(),
            NodeSystem.NAME + "-visitor",
            ClusterSettings.visitor(ownHostTowards(address), tlsDirectory));
    try {
      return AskPattern.<Door.Command, Door.Reply>ask(
              Door.at(visitor, address),
              replyTo -> new Door.Ask(Identity.ownVersion(), run, request, replyTo),
              patience,
              visitor.scheduler())
          .toCompletableFuture()
          .join();
    } finally {
      end(visitor);
    }
  }

  /** The answer is there: a connection that does not close must not keep it from who asked. */
  private static void end(ActorSystem<Void> visitor) {
    visitor.terminate();
    try {
      visitor
          .getWhenTerminated()
          .toCompletableFuture()
          .get(GOODBYE.toMillis(), TimeUnit.MILLISECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException e) {
      LOG.warn("visitor={} did not end within {}", visitor.name(), GOODBYE);
    }
  }

  /** The address of this machine that the other one sees: no packet is sent to find out. */
  private static String ownHostTowards(String address) {
    InetSocketAddress target = SeedProbe.socketAddress(address);
    try (DatagramSocket socket = new DatagramSocket()) {
      socket.connect(target);
      return socket.getLocalAddress().getHostAddress();
    } catch (SocketException e) {
      throw new UserException(
          address + " cannot be reached: " + e.getMessage() + " (expected: a route to it)",
          HINT,
          e);
    }
  }
}
