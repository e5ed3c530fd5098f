package troupe.coordinator.cluster;

import akka.actor.Address;
import akka.actor.CoordinatedShutdown;
import akka.actor.typed.ActorRef;
import akka.actor.typed.ActorSystem;
import akka.actor.typed.Behavior;
import akka.cluster.typed.Cluster;
import akka.cluster.typed.Down;
import akka.cluster.typed.Leave;
import com.typesafe.config.Config;
import java.net.BindException;
import java.util.Optional;
import troupe.core.UserException;
import troupe.core.config.RunConfig;

/** The actor system of a node, from its start to its end. */
public final class NodeSystem {
  /** The same on all nodes: it is part of their addresses. */
  static final String NAME = "troupe";

  private NodeSystem() {}

  /**
   * Starts a system that listens at {@code cluster.host:cluster.port} and is not yet a member of
   * any cluster.
   *
   * @param compute settings of the threads that compute
   * @throws UserException if the address cannot be had, or TLS is asked for and its files are wrong
   */
  public static <T> ActorSystem<T> start(
      RunConfig.Cluster config, Config compute, Behavior<T> guardian) {
    return start(config, guardian, ClusterSettings.node(config, compute));
  }

  static <T> ActorSystem<T> start(RunConfig.Cluster config, Behavior<T> guardian, Config settings) {
    try {
      return ActorSystem.create(guardian, NAME, settings);
    } catch (RuntimeException e) {
      throw mistake(config, e).orElseThrow(() -> e);
    }
  }

  /** Where other nodes reach this one: {@code HOST:PORT}, never port 0. */
  public static String address(ActorSystem<?> system) {
    return NodeNames.hostPort(system.address());
  }

  /**
   * Leaves the cluster; its other members learn of it at once, and when they have, the system ends.
   */
  public static void leave(ActorSystem<?> system) {
    Cluster cluster = Cluster.get(system);
    cluster.manager().tell(Leave.create(cluster.selfMember().address()));
  }

  /** Removes the node on which an actor lives from the cluster without asking it. */
  public static void expel(ActorSystem<?> system, ActorRef<?> actor) {
    Cluster cluster = Cluster.get(system);
    Address address = actor.path().address();
    cluster
        .manager()
        .tell(new Down(address.hasLocalScope() ? cluster.selfMember().address() : address));
  }

  /** Why a system ended, or is about to, if that was not its own wish. */
  public static Optional<String> misfortune(ActorSystem<?> system) {
    return CoordinatedShutdown.get(system)
        .getShutdownReason()
        .filter(reason -> reason.equals(CoordinatedShutdown.clusterDowningReason()))
        .map(
            reason ->
                "the cluster goes on without this node: it was away or cut off for too long, or with"
                    + " fewer than half of the others");
  }

  private static Optional<UserException> mistake(RunConfig.Cluster config, RuntimeException e) {
    for (Throwable cause = e; cause != null; cause = cause.getCause()) {
      String text = String.valueOf(cause.getMessage());
      if (text.contains("in use")) {
        return Optional.of(
            new UserException(
                "cluster.port: "
                    + config.port()
                    + " is taken (expected: a free port of "
                    + config.host()
                    + ")",
                "another node may still run there; cluster.port=ANOTHER, or 0 for any free one",
                e));
      }
      if (text.contains("UnresolvedAddress")
          || text.contains("Unresolved address")
          || text.contains("Cannot assign")
          || cause instanceof BindException
          || text.contains("Failed to bind")) {
        return Optional.of(
            new UserException(
                "cluster.host: "
                    + config.host()
                    + ":"
                    + config.port()
                    + " cannot be listened at: "
                    + text
                    + " (expected: an address of this machine)",
                "cluster.host=ADDRESS, one that 'ip address' lists or a name of it",
                e));
      }
    }
    return Optional.empty();
  }
}
