package troupe.coordinator.placement;

import java.util.Comparator;
import java.util.List;

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

  /** Memory of each of its devices, at least one; 0 = unknown, taken as enough. */
  List<Long> deviceBytes();

  /** Compute threads: how much work it does beside others. */
  int threads();

  /** What people call one of its devices: {@code NAME:DEVICE}, the name alone if it has but one. */
  default String deviceName(int device) {
    return deviceBytes().size() == 1 ? name() : name() + ":" + device;
  }
}
