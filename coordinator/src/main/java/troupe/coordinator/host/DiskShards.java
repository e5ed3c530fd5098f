package troupe.coordinator.host;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import troupe.core.checkpoint.Checkpoint;

/** A whole checkpoint as a source of shards: each is read when it is asked for. Immutable. */
public final class DiskShards {
  private final Checkpoint checkpoint;
  private final ShardFiles files;

  /**
   * The shards of a checkpoint.
   *
   * @param checkpoint a whole one of the run that {@code catalog} is of
   */
  public DiskShards(Checkpoint checkpoint, ShardCatalog catalog) {
    this.checkpoint = checkpoint;
    this.files = new ShardFiles(catalog);
  }

  /** The step that all of them are of. */
  public long step() {
    return checkpoint.manifest().step();
  }

  /**
   * Reads a shard.
   *
   * @param bytes where to, of the size that the catalog says
   * @throws IOException if it cannot be read, or is not of this run's model
   */
  public void read(ShardId shard, MemorySegment bytes) throws IOException {
    files.read(checkpoint, shard, bytes);
  }

  /**
   * Reads a shard into memory of {@code memory}. The caller owns the one reference.
   *
   * @throws IOException if it cannot be read, or is not of this run's model
   */
  public ShardCopy read(ShardId shard, ShardMemory memory) throws IOException {
    ShardCopy copy = memory.allocate(shard, step());
    try {
      read(shard, copy.bytes());
      return copy;
    } catch (IOException | RuntimeException e) {
      copy.release();
      throw e;
    }
  }
}
