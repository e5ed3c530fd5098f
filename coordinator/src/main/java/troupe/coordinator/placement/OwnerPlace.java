package troupe.coordinator.placement;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/**
 * A device of a node that may hold owners.
 *
 * @param memoryBytes of the device; 0 = unknown, taken as enough
 * @param weight how much work it does beside others: its share of its node's threads
 */
record OwnerPlace(Place place, long memoryBytes, double weight) {
  /** The places of nodes, in the order of nodes, then of their devices. */
  static List<OwnerPlace> of(Collection<? extends OwnerNode> nodes) {
    List<OwnerPlace> places = new ArrayList<>();
    for (OwnerNode node : nodes.stream().sorted(OwnerNode.ORDER).toList()) {
      List<Long> bytes = node.deviceBytes();
      double weight = (double) Math.max(1, node.threads()) / bytes.size();
      for (int device = 0; device < bytes.size(); device++) {
        places.add(new OwnerPlace(new Place(node.node(), device), bytes.get(device), weight));
      }
    }
    return places;
  }
}
