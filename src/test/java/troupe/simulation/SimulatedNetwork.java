package troupe.simulation;

import java.util.TreeMap;
import java.util.SortedMap;
import troupe.transport.BatchHeader;
import troupe.transport.BatchReceiver;

/** The data plane between all nodes of a schedule. */
final class SimulatedNetwork {
  private final EventLoop loop;
  private final SortedMap<Integer, SimulatedTransport> transports = new TreeMap<>();
  private int newestEpoch = Integer.MIN_VALUE;

  SimulatedNetwork(EventLoop loop) {
    this.loop = loop;
  }

  /** The transport of a node, known to all others. */
  SimulatedTransport open(int node, BatchReceiver receiver) {
    SimulatedTransport transport = new SimulatedTransport(loop, this, node, receiver);
    if (transports.putIfAbsent(node, transport) != null) {
      throw new IllegalArgumentException("node: " + node + " (expected: one not there yet)");
    }
    return transport;
  }

  /** The transport of a node, or {@code null}. */
  SimulatedTransport of(int node) {
    return transports.get(node);
  }

  /** Some node has heard of an epoch. */
  void epochHeard(int epoch) {
    newestEpoch = Math.max(newestEpoch, epoch);
  }

  /** The newest epoch that any node has heard of. */
  int newestEpoch() {
    return newestEpoch;
  }

  /**
   * Whether a batch belongs to an epoch that has ended. Nobody may build anything on one that
   * arrives from now on.
   */
  boolean isStale(BatchHeader header) {
    return header.epoch() < newestEpoch;
  }

  /** Every transport refuses from now on; what is on its way is given back when it is due. */
  void close() {
    transports.values().forEach(SimulatedTransport::close);
  }
}
