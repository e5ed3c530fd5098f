package troupe.core.tensor.cuda;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.LongFunction;

/**
 * Memory that is dear to have, in pieces of any size, up to a bound. It comes in slabs, which are
 * kept: to pin memory of the host takes the system far longer than to copy it, and memory that
 * other processes opened cannot be given back. A slab is as large as all before it together, so
 * that there are few. Pieces that lie side by side become one again, so whatever sizes come, the
 * memory is used again. Not for several threads at once.
 */
final class SlabPool {
  private static final long FIRST_SLAB = 16L << 20;
  private static final long PAGE = 4096;

  private final long mostBytes;
  private final LongFunction<MemorySegment> more;
  private final List<Slab> slabs = new ArrayList<>();
  private long bytes;
  private long takenBytes;
  private boolean grows = true;

  /** A piece that is taken. */
  record Piece(Slab slab, long offset, long room, MemorySegment memory) {}

  /**
   * An empty pool of so many bytes at most.
   *
   * @param more has memory of a size, of the host or a device, or returns {@code null}: then it is
   *     not asked again
   */
  SlabPool(long mostBytes, LongFunction<MemorySegment> more) {
    this.mostBytes = mostBytes;
    this.more = more;
  }

  /** Memory of that size, at the beginning of a page, or {@code null} if there is none so large. */
  Piece take(long size) {
    long room = Math.max(1, Math.ceilDiv(size, PAGE)) * PAGE;
    for (Slab slab : slabs) {
      Piece piece = slab.take(size, room);
      if (piece != null) {
        takenBytes += room;
        return piece;
      }
    }
    if (!grow(room)) {
      return null;
    }
    takenBytes += room;
    return slabs.getLast().take(size, room);
  }

  private boolean grow(long room) {
    long left = mostBytes - bytes;
    if (!grows || room > left) {
      return false;
    }
    long size = Math.min(left, Math.max(room, Math.max(FIRST_SLAB, bytes)));
    MemorySegment memory = more.apply(size);
    grows = memory != null;
    if (grows) {
      bytes += size;
      slabs.add(new Slab(memory));
    }
    return grows;
  }

  /** Makes memory of a piece free for others. */
  void give(Piece piece) {
    takenBytes -= piece.room();
    piece.slab().give(piece.offset(), piece.room());
  }

  /** Bytes that it has. */
  long bytes() {
    return bytes;
  }

  /** Bytes of pieces that are taken. */
  long takenBytes() {
    return takenBytes;
  }

  /** Lends nothing any more. */
  void close() {
    grows = false;
    slabs.clear();
  }

  /** Memory that pieces are cut from. */
  static final class Slab {
    private final MemorySegment memory;

    /** Where free memory begins, and how much it is. */
    private final NavigableMap<Long, Long> free = new TreeMap<>();

    Slab(MemorySegment memory) {
      this.memory = memory;
      free.put(0L, memory.byteSize());
    }

    Piece take(long size, long room) {
      for (Map.Entry<Long, Long> place : free.entrySet()) {
        long offset = place.getKey();
        long length = place.getValue();
        if (length >= room) {
          free.remove(offset);
          if (length > room) {
            free.put(offset + room, length - room);
          }
          return new Piece(this, offset, room, memory.asSlice(offset, size));
        }
      }
      return null;
    }

    void give(long offset, long room) {
      long begin = offset;
      long end = offset + room;
      Map.Entry<Long, Long> before = free.lowerEntry(offset);
      if (before != null && before.getKey() + before.getValue() == begin) {
        begin = before.getKey();
      }
      Long after = free.remove(end);
      free.put(begin, end + (after == null ? 0 : after) - begin);
    }
  }
}
