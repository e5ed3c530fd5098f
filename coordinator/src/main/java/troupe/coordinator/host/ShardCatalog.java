package troupe.coordinator.host;

import java.util.Collections;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import troupe.coordinator.placement.ExpertId;
import troupe.core.config.RunConfig;
import troupe.core.nn.ParameterLayout;
import troupe.core.tensor.DType;
import troupe.router.trunk.Slices;
import troupe.router.trunk.TrunkParameters;

/** All shards of a run, and how large each is: a function of config and element type alone. */
public final class ShardCatalog {
  private final RunConfig config;
  private final DType dtype;
  private final SortedMap<ShardId, Long> elements = new TreeMap<>();

  /**
   * The shards of a run.
   *
   * @param dtype the element type of the devices of all nodes
   */
  public ShardCatalog(RunConfig config, DType dtype) {
    this.config = config;
    this.dtype = dtype;
    long trunk = TrunkParameters.layout(config).size();
    elements.put(ShardId.trunk(), trunk);
    Slices slices = new Slices(trunk, config.train().ranks());
    for (int rank = 0; rank < config.train().ranks(); rank++) {
      elements.put(ShardId.moments(rank), 2L * slices.count(rank));
    }
    for (int layer = 0; layer < config.model().layers(); layer++) {
      for (int expert = 0;
          config.model().isMoe(layer) && expert < config.experts().count();
          expert++) {
        long parameters = TrunkParameters.expertLayout(config, layer, expert).size();
        elements.put(ShardId.expert(new ExpertId(layer, expert)), 3 * parameters);
      }
    }
  }

  /** All shards, in order. */
  public SortedSet<ShardId> shards() {
    return Collections.unmodifiableSortedSet((SortedSet<ShardId>) elements.keySet());
  }

  /** Whether the run has such a shard. */
  public boolean contains(ShardId shard) {
    return elements.containsKey(shard);
  }

  /**
   * Elements of a shard, padding of its layout included.
   *
   * @throws IllegalArgumentException if the run has no such shard
   */
  public long elements(ShardId shard) {
    Long count = elements.get(shard);
    if (count == null) {
      throw new IllegalArgumentException(
          "shard: " + shard + " (expected: one of " + elements.keySet() + ")");
    }
    return count;
  }

  /**
   * Bytes of a shard.
   *
   * @throws IllegalArgumentException if the run has no such shard
   */
  public long bytes(ShardId shard) {
    return elements(shard) * dtype.bytes();
  }

  /** The element type. */
  public DType dtype() {
    return dtype;
  }

  /** Where each parameter of the trunk, or of an expert, lies in its part of the shard. */
  ParameterLayout layout(ShardId shard) {
    return switch (shard.kind()) {
      case TRUNK -> TrunkParameters.layout(config);
      case EXPERT -> TrunkParameters.expertLayout(config, shard.layer(), shard.index());
      case MOMENTS ->
          throw new IllegalArgumentException("shard: " + shard + " (expected: one of parameters)");
    };
  }
}
