package troupe.coordinator.host;

import java.lang.foreign.MemorySegment;
import troupe.transport.BatchHeader;
import troupe.transport.Phase;

/**
 * A part of a shard as it travels: a batch of one row, small enough that batches of training wait
 * behind a few of them at most.
 *
 * @param phase what it travels for: replica, restore or checkpoint
 * @param step the step that the shard is the result of
 * @param number from 0
 */
record ShardChunk(Phase phase, ShardId shard, long step, int number) {
  /** Elements of every chunk but the last: 1 MiB of float32. */
  static final int ELEMENTS = 256 << 10;

  private static final ShardId.Kind[] KINDS = ShardId.Kind.values();

  /** How many chunks so many elements are. */
  static int count(long elements) {
    return Math.toIntExact(Math.ceilDiv(elements, (long) ELEMENTS));
  }

  /**
   * The chunk that a header describes, or {@code null} if a run of {@code catalog} has none such.
   */
  static ShardChunk of(BatchHeader header, ShardCatalog catalog) {
    if (!isShard(header.phase()) || header.rank() < 0 || header.rank() >= KINDS.length) {
      return null;
    }
    ShardId shard = new ShardId(KINDS[header.rank()], header.layer(), header.expert());
    boolean fits =
        catalog.contains(shard)
            && header.step() >= 0
            && header.dtypeCode() == catalog.dtype().code()
            && header.rows() == 1
            && header.microBatch() >= 0
            && header.microBatch() < count(catalog.elements(shard));
    if (!fits) {
      return null;
    }
    ShardChunk chunk = new ShardChunk(header.phase(), shard, header.step(), header.microBatch());
    return chunk.elements(catalog) == header.columns() ? chunk : null;
  }

  private static boolean isShard(Phase phase) {
    return phase == Phase.REPLICA || phase == Phase.RESTORE || phase == Phase.CHECKPOINT;
  }

  /** The header that it travels under. */
  BatchHeader header(long runId, int epoch, ShardCatalog catalog) {
    return new BatchHeader(
        runId,
        epoch,
        step,
        shard.layer(),
        number,
        shard.kind().ordinal(),
        shard.index(),
        phase,
        catalog.dtype().code(),
        1,
        elements(catalog));
  }

  /** Its part of the whole shard. */
  MemorySegment of(MemorySegment bytes, ShardCatalog catalog) {
    long elementBytes = catalog.dtype().bytes();
    return bytes.asSlice((long) number * ELEMENTS * elementBytes, elements(catalog) * elementBytes);
  }

  private int elements(ShardCatalog catalog) {
    return (int) Math.min(ELEMENTS, catalog.elements(shard) - (long) number * ELEMENTS);
  }
}
