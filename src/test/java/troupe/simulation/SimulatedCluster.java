package troupe.simulation;

import akka.actor.typed.ActorRef;
import java.util.Map;
import java.util.TreeMap;
import troupe.transport.BatchReceiver;

/**
 * The nodes of one schedule. Each has a guardian under which its actors live, and what happens to a
 * node happens to all of them. Nodes are numbered from 0 as they come; none comes back.
 */
final class SimulatedCluster implements AutoCloseable {
  private final SimulatedSystem system;
  private final EventLoop loop;
  private final SimulatedNetwork network;
  private final Map<Integer, ActorRef<SimulatedSystem.Task>> guardians = new TreeMap<>();
  private ActorRef<SimulatedSystem.Task> root;
  private boolean closed;

  /** A cluster without nodes under the conditions of a schedule. */
  SimulatedCluster(SimulatedSystem system, Conditions conditions) {
    this.system = system;
    this.loop = system.loop();
    this.network = new SimulatedNetwork(loop);
    String name = system.nextSchedule();
    loop.begin(conditions);
    system.tell(context -> root = context.spawn(SimulatedSystem.guardian(), name));
    system.run();
  }

  /** One more node; returns its number. */
  int join() {
    int node = guardians.size();
    root.tell(
        context ->
            guardians.put(node, context.spawn(SimulatedSystem.guardian(), NodePath.nameOf(node))));
    while (!guardians.containsKey(node)) {
      loop.step();
    }
    return node;
  }

  /** Has the guardian of a node do something when it is its turn. */
  void on(int node, SimulatedSystem.Task task) {
    guardians.get(node).tell(task);
  }

  /** Opens the data plane of a node. */
  SimulatedTransport transport(int node, BatchReceiver receiver) {
    return network.open(node, receiver);
  }

  /** The process of a node is gone: it does nothing more, not even clean up. */
  void kill(int node) {
    loop.trace().add(loop.nowNs(), node, "process", "killed", "");
    loop.pause(node);
    isolate(node);
  }

  /** Nothing passes between a node and the others any more. */
  void isolate(int node) {
    loop.trace().add(loop.nowNs(), node, "process", "isolated", "");
    loop.conditions().isolate(node);
  }

  /** Whether nothing passes between a node and any other. */
  boolean isIsolated(int node) {
    return loop.conditions().isIsolated(node);
  }

  /** Whether nothing passes between two nodes. */
  boolean isCut(int a, int b) {
    return loop.conditions().isCut(a, b);
  }

  /** Whether it is all over: what was to happen later does not any more. */
  boolean isClosed() {
    return closed;
  }

  /** The newest epoch that any node has heard of. */
  int newestEpoch() {
    return network.newestEpoch();
  }

  /** The process of a node is stopped. */
  void pause(int node) {
    loop.trace().add(loop.nowNs(), node, "process", "paused", "");
    loop.pause(node);
  }

  /** The process of a node goes on; to itself it was never away. */
  void resume(int node) {
    loop.trace().add(loop.nowNs(), node, "process", "resumed", "");
    loop.resume(node);
  }

  /** Nothing passes between two nodes until {@link #heal}. */
  void cut(int a, int b) {
    loop.trace().add(loop.nowNs(), a, "link", "cut", b);
    loop.conditions().cut(a, b);
  }

  /** Two nodes hear each other again. */
  void heal(int a, int b) {
    loop.trace().add(loop.nowNs(), a, "link", "healed", b);
    loop.conditions().heal(a, b);
  }

  /** Takes answers that nobody waits for. */
  <T> ActorRef<T> nobody() {
    return system.nobody();
  }

  /** Stops every actor and gives back what is on its way. May be repeated. */
  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    loop.calm();
    network.close();
    system.tell(context -> context.stop(root));
    system.run();
  }
}
