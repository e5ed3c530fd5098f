package troupe.coordinator.placement;

import troupe.core.config.RunConfig;
import troupe.router.trunk.TrunkParameters;

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

  /**
   * What owners of a run take with float32 on the device, without activations: parameters,
   * gradients and both moments of an expert; the trunk, its gradients and a rank's share of sum and
   * moments.
   */
  public static Footprint of(RunConfig config) {
    long trunk = TrunkParameters.layout(config).size();
    long expert =
        ExpertId.all(config).stream()
            .limit(1)
            .mapToLong(id -> TrunkParameters.expertLayout(config, id.layer(), id.expert()).size())
            .sum();
    return new Footprint(
        4 * expert * Float.BYTES, (2 * trunk + 3 * (trunk / config.train().ranks())) * Float.BYTES);
  }

  /** How many ranks a place has room for. */
  long roomForRanks(OwnerPlace place) {
    return room(place, place.memoryBytes(), rankBytes);
  }

  /** How many experts a place has room for beside its ranks; 0 if these are too many already. */
  long roomForExperts(OwnerPlace place, long ranks) {
    return room(place, place.memoryBytes() - ranks * rankBytes, expertBytes);
  }

  private static long room(OwnerPlace place, long freeBytes, long bytes) {
    return place.memoryBytes() <= 0 || bytes == 0
        ? Integer.MAX_VALUE
        : Math.max(0, freeBytes / bytes);
  }
}
