package troupe.coordinator.placement;

import java.util.Comparator;

/** A node as placement sees it. */
public interface OwnerNode {
  /**
   * The order in which nodes are looked at: by name, for numbers are drawn anew whenever a process
   * starts and the same cluster should be placed in the same way.
   */
  Comparator<OwnerNode> ORDER =
      Comparator.comparing(OwnerNode::name).thenComparingInt(OwnerNode::node);

  /** Its number. */
  int node();

  /** What people call it. */
  String name();

  /** Memory of its device; 0 = unknown, taken as enough. */
  long memoryBytes();

  /** Compute threads: how much work it does beside others. */
  int threads();

  /** {@link #threads}, at least one. */
  default int weight() {
    return Math.max(1, threads());
  }
}
