package troupe.coordinator.host;

import java.lang.foreign.MemorySegment;
import java.util.BitSet;
import troupe.transport.Payload;

/** A shard of which some chunks have arrived. Guarded by the lock of {@link Arrivals}. */
final class ShardAssembly {
  private final ShardCatalog catalog;
  private final ShardCopy copy;
  private final BitSet arrived = new BitSet();
  private int missing;

  ShardAssembly(ShardMemory memory, ShardId shard, long step) {
    this.catalog = memory.catalog();
    this.copy = memory.allocate(shard, step);
    this.missing = ShardChunk.count(catalog.elements(shard));
  }

  /** Where the bytes of a chunk go: the copy stays while a transport writes there. */
  Payload place(ShardChunk chunk) {
    return new LeasedBytes(copy, chunk.of(copy.bytes(), catalog), () -> {});
  }

  /** A chunk is there, or comes as memory of someone else, to be copied. */
  void add(ShardChunk chunk, Payload payload) {
    MemorySegment place = chunk.of(copy.bytes(), catalog);
    if (arrived.get(chunk.number())) {
      return;
    }
    MemorySegment bytes = payload.bytes();
    if (!bytes.equals(place)) {
      place.copyFrom(bytes);
    }
    arrived.set(chunk.number());
    missing--;
  }

  boolean isWhole() {
    return missing == 0;
  }

  /** The whole shard; the caller owns the one reference of this assembly. */
  ShardCopy copy() {
    return copy;
  }

  /** Frees it once no transport writes to it any more. */
  void abandon() {
    copy.release();
  }

  long byteSize() {
    return copy.bytes().byteSize();
  }

  @Override
  public String toString() {
    return copy + " missing chunks=" + missing;
  }
}
