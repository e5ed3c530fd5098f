package troupe.core.tensor.cuda;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.cuda.SlabPool.Piece;

class SlabPoolTest {
  private static final long MIB = 1 << 20;

  /** Sizes of slabs, in order. Nobody touches their memory. */
  private final List<Long> pinned = new ArrayList<>();

  private MemorySegment pin(long bytes) {
    pinned.add(bytes);
    return MemorySegment.ofAddress(MIB * 1024 * pinned.size()).reinterpret(bytes);
  }

  private SlabPool pool(long mostBytes) {
    return new SlabPool(mostBytes, this::pin);
  }

  @Test
  void shouldLendMemoryAgain() {
    SlabPool pool = pool(64 * MIB);
    Piece first = pool.take(5000);
    assertEquals(5000, first.memory().byteSize());
    Piece second = pool.take(1);
    assertNotEquals(first.memory().address(), second.memory().address());
    pool.give(first);
    // Other sizes too: of as many pages.
    assertEquals(first.memory().address(), pool.take(8192).memory().address());
    assertEquals(List.of(16 * MIB), pinned);
  }

  @Test
  void shouldDoubleUpToItsBound() {
    SlabPool pool = pool(100 * MIB);
    int pieces = 0;
    while (pool.take(4 * MIB) != null) {
      pieces++;
    }
    assertEquals(25, pieces);
    assertEquals(List.of(16 * MIB, 16 * MIB, 32 * MIB, 36 * MIB), pinned);
    assertEquals(100 * MIB, pool.bytes());
  }

  @Test
  void shouldMakeOneOfPiecesThatLieSideBySide() {
    SlabPool pool = pool(16 * MIB);
    List<Piece> pieces = new ArrayList<>();
    for (int i = 0; i < 16; i++) {
      pieces.add(pool.take(MIB));
    }
    assertNull(pool.take(1));
    for (int i = 0; i < 16; i += 2) {
      pool.give(pieces.get(i));
    }
    assertNull(pool.take(2 * MIB), "none is next to another");
    for (int i = 1; i < 16; i += 2) {
      pool.give(pieces.get(i));
    }
    assertNotNull(pool.take(16 * MIB));
  }

  @Test
  void shouldHaveASlabForWhatIsLargerThanTheFirst() {
    SlabPool pool = pool(64 * MIB);
    assertNull(pool.take(65 * MIB), "more than the bound");
    assertEquals(List.of(), pinned);
    assertNotNull(pool.take(40 * MIB));
    assertEquals(List.of(40 * MIB), pinned);
  }

  @Test
  void shouldMakeDoWithWhatItHasWhenNoMoreIsPinned() {
    int[] asked = new int[1];
    SlabPool pool = new SlabPool(64 * MIB, bytes -> asked[0]++ == 0 ? pin(bytes) : null);
    Piece all = pool.take(16 * MIB);
    assertNull(pool.take(1));
    assertNull(pool.take(1));
    assertEquals(2, asked[0], "the system is not asked again");
    pool.give(all);
    assertNotNull(pool.take(1));
  }

  @Test
  void shouldLendNoByteTwice() {
    SlabPool pool = pool(24 * MIB);
    Random random = new Random(5);
    List<Piece> lent = new ArrayList<>();
    for (int i = 0; i < 20_000; i++) {
      Piece piece = random.nextInt(3) < 2 ? pool.take(random.nextLong(MIB)) : null;
      if (piece != null) {
        MemorySegment memory = piece.memory();
        assertEquals(0, memory.address() % 4096);
        assertTrue(
            lent.stream().noneMatch(other -> other.memory().asOverlappingSlice(memory).isPresent()),
            "at " + memory);
        lent.add(piece);
      } else if (!lent.isEmpty()) {
        pool.give(lent.remove(random.nextInt(lent.size())));
      }
    }
    lent.forEach(pool::give);
    assertNotNull(pool.take(16 * MIB), "all of a slab");
  }

  @Test
  void shouldLendNothingOnceClosed() {
    SlabPool pool = pool(64 * MIB);
    Piece piece = pool.take(1);
    pool.close();
    assertNull(pool.take(1));
    pool.give(piece);
    assertNull(pool.take(1));
  }
}
