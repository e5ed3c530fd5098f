package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.DType;

/** What is kept, what is dropped, and that nothing is freed under a reader. */
final class ShardStoreTest {
  private static final ShardId TRUNK = ShardId.trunk();
  private static final ShardId MOMENTS = ShardId.moments(1);

  private final ShardMemory memory = new ShardMemory(new ShardCatalog(Fixtures.small(), DType.F32));
  private final ShardStore store = new ShardStore();

  private void put(ShardId shard, long... steps) {
    for (long step : steps) {
      store.put(memory.allocate(shard, step));
    }
  }

  @Test
  void shouldKeepFromAStepOn() {
    put(TRUNK, 2, 4, 6);
    put(MOMENTS, 2);
    store.keepFrom(4);
    assertEquals(Set.of(4L, 6L), store.steps(TRUNK));
    assertEquals(Set.of(), store.steps(MOMENTS));
    assertEquals(Set.of(TRUNK), store.held().keySet());
    assertEquals(2 * memory.catalog().bytes(TRUNK), store.bytes());
    assertEquals(store.bytes(), memory.heldBytes());
  }

  @Test
  void shouldForgetWhatARollBackUndid() {
    put(TRUNK, 2, 4, 6);
    store.dropNewerThan(4);
    assertEquals(Set.of(2L, 4L), store.steps(TRUNK));
    store.retainOnly(2);
    assertEquals(Set.of(2L), store.steps(TRUNK));
    store.retainOnly(3);
    assertEquals(Set.of(), store.held().keySet());
    assertEquals(0, memory.heldBytes());
  }

  @Test
  void shouldDropTheOldestWhenThereAreTooMany() {
    put(TRUNK, 3, 1, 2, 4);
    assertEquals(Set.of(2L, 3L, 4L), store.steps(TRUNK));
    assertEquals(3 * memory.catalog().bytes(TRUNK), memory.heldBytes());
  }

  @Test
  void shouldReplaceACopyOfTheSameStep() {
    put(TRUNK, 3);
    ShardCopy second = Fixtures.random(memory, TRUNK, 3, 1);
    store.put(second);
    ShardCopy got = store.get(TRUNK, 3).orElseThrow();
    assertEquals(-1, got.bytes().mismatch(second.bytes()));
    assertEquals(memory.catalog().bytes(TRUNK), memory.heldBytes());
  }

  @Test
  void shouldKeepACopyForItsReadersAfterItIsDropped() {
    put(TRUNK, 3);
    ShardCopy lease = store.get(TRUNK, 3).orElseThrow();
    store.close();
    memory.close();
    assertTrue(store.get(TRUNK, 3).isEmpty());
    lease.bytes().fill((byte) 1);
    assertEquals(memory.catalog().bytes(TRUNK), memory.heldBytes());
    lease.release();
    assertEquals(0, memory.heldBytes());
    assertEquals(0, memory.idleBytes());
    assertFalse(lease.bytes().scope().isAlive());
    assertThrows(IllegalStateException.class, lease::retain);
    assertThrows(IllegalStateException.class, lease::release);
    assertThrows(IllegalStateException.class, () -> memory.allocate(TRUNK, 4));
  }

  @Test
  void shouldUseMemoryAgainAndFreeItWhenTrimmed() {
    ShardCopy first = memory.allocate(TRUNK, 1);
    long address = first.bytes().address();
    first.release();
    assertEquals(memory.catalog().bytes(TRUNK), memory.idleBytes());
    assertEquals(address, memory.allocate(TRUNK, 2).bytes().address());
    ShardCopy third = memory.allocate(TRUNK, 3);
    third.release();
    memory.trim();
    assertEquals(0, memory.idleBytes());
    assertFalse(third.bytes().scope().isAlive());
  }

  /** Each copy is full of its step; a block given to two at a time would show. */
  @Test
  void shouldNeverFreeUnderAReader() throws Exception {
    int writers = 3;
    int readers = 3;
    int copies = 400;
    AtomicBoolean writing = new AtomicBoolean(true);
    List<ShardId> shards = List.of(TRUNK, MOMENTS, ShardId.moments(0));
    try (ExecutorService threads = Executors.newFixedThreadPool(writers + readers)) {
      List<Future<Integer>> writes = new ArrayList<>();
      for (int i = 0; i < writers; i++) {
        ShardId shard = shards.get(i);
        writes.add(threads.submit(() -> write(shard, copies)));
      }
      List<Future<Integer>> reads = new ArrayList<>();
      for (int i = 0; i < readers; i++) {
        long seed = i;
        Callable<Integer> read = () -> read(shards, new Random(seed), writing);
        reads.add(threads.submit(read));
      }
      for (Future<Integer> write : writes) {
        write.get(60, TimeUnit.SECONDS);
      }
      int seen = 0;
      writing.set(false);
      for (Future<Integer> read : reads) {
        seen += read.get(60, TimeUnit.SECONDS);
      }
      assertTrue(seen > 0, "copies seen: " + seen);
    }
    assertEquals(store.bytes(), memory.heldBytes(), "every lease was given back");
    store.close();
    assertEquals(0, memory.heldBytes());
  }

  private int write(ShardId shard, int copies) {
    for (int step = 1; step <= copies; step++) {
      ShardCopy copy = memory.allocate(shard, step);
      copy.bytes().fill((byte) step);
      store.put(copy);
      store.keepFrom(step - 2);
    }
    return copies;
  }

  private int read(List<ShardId> shards, Random random, AtomicBoolean writing) {
    int seen = 0;
    while (writing.get() || seen == 0) {
      ShardId shard = shards.get(random.nextInt(shards.size()));
      for (long step : store.steps(shard)) {
        ShardCopy copy = store.get(shard, step).orElse(null);
        if (copy != null) {
          assertEquals(step, copy.step());
          assertFull(copy.bytes(), (byte) step);
          copy.release();
          seen++;
        }
      }
    }
    return seen;
  }

  private static void assertFull(MemorySegment bytes, byte expected) {
    for (long i = 0; i < bytes.byteSize(); i++) {
      assertEquals(expected, bytes.get(ValueLayout.JAVA_BYTE, i));
    }
  }
}
