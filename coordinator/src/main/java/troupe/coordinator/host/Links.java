package troupe.coordinator.host;

import java.util.List;
import troupe.coordinator.placement.NodeInfo;
import troupe.transport.Transport;

/** The way to other nodes. */
public interface Links {
  /** The transport that connects them. */
  Transport transport();

  /** From now on these nodes, and no others, are reached. */
  void connect(List<NodeInfo> nodes);

  /** Whether batches can be offered to a node. */
  boolean isConnected(int node);
}
