package troupe.coordinator.node;

import java.util.List;
import troupe.coordinator.host.Links;
import troupe.coordinator.placement.NodeInfo;
import troupe.transport.Endpoint;
import troupe.transport.NodeTransport;

/** The way to the nodes of an epoch. */
record TransportLinks(NodeTransport transport) implements Links {
  @Override
  public void connect(List<NodeInfo> nodes) {
    transport.connect(
        nodes.stream()
            .map(
                node -> new Endpoint(node.node(), node.channel(), node.machine(), node.directory()))
            .toList());
  }

  @Override
  public boolean isConnected(int node) {
    return transport.isConnected(node);
  }
}
