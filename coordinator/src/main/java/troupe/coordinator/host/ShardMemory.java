package troupe.coordinator.host;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;

/**
 * Host memory for copies of shards, outside the Java heap. A run has few sizes of shards and needs
 * them again and again, so blocks are kept by exact size. No block is freed under a reader: what is
 * held when this is closed is freed by its last release. Safe to use from several threads.
 */
public final class ShardMemory implements AutoCloseable {
  private static final long CACHE_LINE_BYTES = 64;

  private final ShardCatalog catalog;
  private final Map<Long, ArrayDeque<Block>> idle = new HashMap<>();
  private long heldBytes;
  private long idleBytes;
  private boolean closed;

  private record Block(Arena arena, MemorySegment bytes) {}

  /** Memory for the shards of a run. */
  public ShardMemory(ShardCatalog catalog) {
    this.catalog = catalog;
  }

  /** The shards that it has memory for. */
  public ShardCatalog catalog() {
    return catalog;
  }

  /**
   * Memory for a shard, with undefined elements. The caller owns the one reference.
   *
   * @throws IllegalStateException once closed
   * @throws OutOfMemoryError if the machine has no more
   */
  public ShardCopy allocate(ShardId shard, long step) {
    Block block = take(catalog.bytes(shard));
    return new ShardCopy(shard, step, block.bytes, () -> give(block));
  }

  /** Bytes of copies that someone holds. */
  public synchronized long heldBytes() {
    return heldBytes;
  }

  /** Bytes that wait to be used again. */
  public synchronized long idleBytes() {
    return idleBytes;
  }

  /**
   * Frees what nobody holds. For the start of an epoch: within one, a node needs the same sizes
   * over and over.
   */
  public synchronized void trim() {
    idle.values().forEach(blocks -> blocks.forEach(block -> block.arena.close()));
    idle.clear();
    idleBytes = 0;
  }

  /** Frees what nobody holds; the rest follows as it is released. */
  @Override
  public synchronized void close() {
    closed = true;
    trim();
  }

  private Block take(long bytes) {
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("shard memory: closed (expected: open)");
      }
      heldBytes += bytes;
      ArrayDeque<Block> blocks = idle.get(bytes);
      if (blocks != null && !blocks.isEmpty()) {
        idleBytes -= bytes;
        return blocks.pop();
      }
    }
    // Outside the lock: the system clears the pages of a large block for a while. Shared, for
    // copies are made, sent and written on different threads.
    Arena arena = Arena.ofShared();
    try {
      return new Block(arena, arena.allocate(bytes, CACHE_LINE_BYTES));
    } catch (OutOfMemoryError e) {
      arena.close();
      synchronized (this) {
        heldBytes -= bytes;
      }
      throw e;
    }
  }

  private synchronized void give(Block block) {
    long bytes = block.bytes.byteSize();
    heldBytes -= bytes;
    if (closed) {
      block.arena.close();
    } else {
      idleBytes += bytes;
      idle.computeIfAbsent(bytes, key -> new ArrayDeque<>()).push(block);
    }
  }
}
