package troupe.coordinator.launch;

/**
 * Told what happens to the nodes of a {@link LocalCluster}, on threads of its processes, several at
 * a time.
 */
public interface ClusterListener {
  /** A node's process is there. */
  default void started(ChildNode node) {}

  /** A node printed a line. */
  void line(ChildNode node, boolean isError, String line);

  /** A node's process is gone and all that it printed was told. */
  void ended(ChildNode node, Exit exit);
}
