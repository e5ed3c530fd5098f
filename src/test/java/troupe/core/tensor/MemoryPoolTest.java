package troupe.core.tensor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class MemoryPoolTest {
  private final List<long[]> freed = new ArrayList<>();
  private final MemoryPool<long[]> pool =
      new MemoryPool<>(size -> new long[Math.toIntExact(size)], freed::add);

  @Test
  void shouldReuseBlockWhenSizesAreOfOneClass() {
    long[] block = pool.take(1000);
    assertTrue(block.length >= 1000);
    pool.give(block, 1000);
    assertSame(block, pool.take(1001));
    assertEquals(1, pool.blocks());
  }

  @Test
  void shouldNotHandOutABlockTwice() {
    assertNotSame(pool.take(10), pool.take(10));
    assertEquals(2, pool.blocks());
  }

  @Test
  void shouldWasteAtMostAQuarter() {
    for (long size = 64; size < 100_000; size++) {
      long sizeClass = MemoryPool.sizeClass(size);
      assertTrue(sizeClass >= size && sizeClass <= size + size / 4, () -> "class " + sizeClass);
      assertEquals(sizeClass, MemoryPool.sizeClass(sizeClass));
    }
  }

  @Test
  void shouldFreeEverythingOnceWhenClosed() {
    long[] idle = pool.take(10);
    long[] used = pool.take(10);
    pool.give(idle, 10);
    pool.close();
    pool.close();
    assertEquals(List.of(idle, used), freed);
    pool.give(used, 10);
    assertThrows(IllegalStateException.class, () -> pool.take(10));
  }
}
