package troupe.coordinator.run;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import troupe.coordinator.host.DiskShards;
import troupe.coordinator.host.Model;
import troupe.coordinator.host.ShardCatalog;
import troupe.coordinator.host.ShardCopy;
import troupe.coordinator.host.ShardFiles;
import troupe.coordinator.host.ShardId;
import troupe.coordinator.host.ShardMemory;
import troupe.coordinator.host.ShardStates;
import troupe.core.checkpoint.Checkpoint;
import troupe.core.checkpoint.ParameterHash;
import troupe.core.nn.Parameters;
import troupe.core.tensor.Tensor;
import troupe.expert.network.ExpertState;
import troupe.router.trunk.RankState;

/** The shards of a model that lives in one process as a whole. */
public final class Shards {
  private Shards() {}

  /**
   * Loads a checkpoint into a model.
   *
   * @throws IOException if a file cannot be read, or is not of this model
   */
  public static void load(Checkpoint checkpoint, Model model) throws IOException {
    ShardCatalog catalog = new ShardCatalog(model.config(), model.devices().first().dtype());
    DiskShards disk = new DiskShards(checkpoint, catalog);
    try (ShardMemory memory = new ShardMemory(catalog)) {
      ShardCopy trunk = disk.read(ShardId.trunk(), memory);
      for (RankState rank : model.ranks()) {
        ShardCopy moments = disk.read(ShardId.moments(rank.rank()), memory);
        ShardStates.copyIn(rank, trunk.bytes(), moments.bytes(), disk.step());
        moments.release();
      }
      trunk.release();
      for (ExpertState expert : model.experts()) {
        ShardCopy copy = disk.read(ShardStates.shard(expert), memory);
        ShardStates.copyIn(expert, copy.bytes(), copy.step());
        copy.release();
      }
    }
  }

  /** SHA-256 over all parameters of a model in canonical order. */
  public static String hash(Model model) {
    ParameterHash hash = new ParameterHash();
    model.parameters().forEach(parameters -> add(hash, parameters));
    return hash.hex();
  }

  private static void add(ParameterHash hash, Parameters parameters) {
    Tensor flat = parameters.flat();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment bytes = arena.allocate(flat.size() * flat.dtype().bytes(), Double.BYTES);
      flat.copyTo(bytes);
      ShardFiles.named(parameters.layout(), flat.dtype(), bytes).forEach(hash::add);
    }
  }
}
