package troupe.coordinator.placement;

/**
 * What owners take of a device's memory.
 *
 * @param expertBytes an expert: parameters, gradients, moments and the rows it works on
 * @param rankBytes a rank: its trunk and activations
 */
public record Footprint(long expertBytes, long rankBytes) {
  /** Refuses negative sizes. */
  public Footprint {
    if (expertBytes < 0 || rankBytes < 0) {
      throw new IllegalArgumentException(
          "footprint: %d, %d (expected: >= 0)".formatted(expertBytes, rankBytes));
    }
  }

  /** How many ranks a node has room for. */
  long roomForRanks(OwnerNode node) {
    return room(node, node.memoryBytes(), rankBytes);
  }

  /** How many experts a node has room for beside its ranks; 0 if these are too many already. */
  long roomForExperts(OwnerNode node, long ranks) {
    return room(node, node.memoryBytes() - ranks * rankBytes, expertBytes);
  }

  private static long room(OwnerNode node, long freeBytes, long bytes) {
    return node.memoryBytes() <= 0 || bytes == 0
        ? Integer.MAX_VALUE
        : Math.max(0, freeBytes / bytes);
  }
}
