package troupe.coordinator.placement;

import java.util.Comparator;

/**
 * Where an owner lives.
 *
 * @param node the number of a node
 * @param device which of that node's devices, from 0
 */
public record Place(int node, int device) implements Comparable<Place> {
  private static final Comparator<Place> ORDER =
      Comparator.comparingInt(Place::node).thenComparingInt(Place::device);

  @Override
  public int compareTo(Place other) {
    return ORDER.compare(this, other);
  }
}
