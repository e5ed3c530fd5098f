package troupe.coordinator.placement;

import java.util.List;

/**
 * What a node says of itself.
 *
 * @param node its number on the data plane, drawn at random when its process starts: a process that
 *     comes back is another node
 * @param name what people call it
 * @param address of its control messages, {@code HOST:PORT}
 * @param pid its process
 * @param channel of its data plane for other hosts, an Aeron URI; empty for a node alone
 * @param machine the same for all processes that can share memory with it
 * @param directory of its Aeron driver, for processes of the same machine
 * @param device the name of its first device
 * @param deviceBytes memory of each of its devices, at least one; 0 = unknown
 * @param threads compute threads of all of them
 */
public record NodeInfo(
    int node,
    String name,
    String address,
    long pid,
    String channel,
    String machine,
    String directory,
    String device,
    List<Long> deviceBytes,
    int threads)
    implements OwnerNode {
  /** Copies the list. */
  public NodeInfo {
    deviceBytes = List.copyOf(deviceBytes);
  }
}
