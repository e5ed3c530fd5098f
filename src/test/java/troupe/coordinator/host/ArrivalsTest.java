package troupe.coordinator.host;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import troupe.core.tensor.DType;
import troupe.transport.BatchHeader;
import troupe.transport.Payload;
import troupe.transport.Phase;

/** What is taken, what is refused, and what is freed. */
final class ArrivalsTest {
  private static final long RUN_ID = 77;
  private static final int EPOCH = 3;
  private static final ShardId TRUNK = ShardId.trunk();

  private final ShardCatalog catalog = new ShardCatalog(Fixtures.chunked(), DType.F32);
  private final ShardMemory memory = new ShardMemory(catalog);
  private final List<ShardCopy> whole = new ArrayList<>();
  private final AtomicInteger repeated = new AtomicInteger();
  private final Arrivals arrivals =
      new Arrivals(
          RUN_ID,
          memory,
          new Arrivals.Listener() {
            @Override
            public void onWhole(int epoch, Phase phase, ShardCopy copy) {
              assertEquals(EPOCH, epoch);
              whole.add(copy);
            }

            @Override
            public void onRepeated(int epoch, Phase phase, ShardId shard, long step) {
              repeated.incrementAndGet();
            }
          });

  private BatchHeader header(ShardId shard, long step, int chunk) {
    return new ShardChunk(Phase.REPLICA, shard, step, chunk).header(RUN_ID, EPOCH, catalog);
  }

  private void arrive(BatchHeader header, byte value) {
    Payload place = arrivals.allocate(header);
    place.bytes().fill(value);
    arrivals.onBatch(header, place);
  }

  @Test
  void shouldRefuseAHeaderWithAnyFieldForged() {
    arrivals.epoch(EPOCH);
    BatchHeader good = header(TRUNK, 7, 1);
    List<BatchHeader> forged = new ArrayList<>();
    for (int wrong : new int[] {Integer.MIN_VALUE, -2, -1, 99, Integer.MAX_VALUE}) {
      forged.add(new Forge(good).runId(wrong).header());
      forged.add(new Forge(good).epoch(wrong).header());
      forged.add(new Forge(good).layer(wrong == -1 ? 0 : wrong).header());
      forged.add(new Forge(good).microBatch(wrong).header());
      forged.add(new Forge(good).rank(wrong).header());
      forged.add(new Forge(good).expert(wrong).header());
      forged.add(new Forge(good).dtype(wrong).header());
      forged.add(new Forge(good).rows(wrong).header());
      forged.add(new Forge(good).columns(wrong).header());
    }
    forged.add(new Forge(good).step(-1).header());
    forged.add(new Forge(good).epoch(EPOCH - 1).header());
    forged.add(new Forge(good).epoch(EPOCH + 1).header());
    forged.add(new Forge(good).dtype(DType.F64.code()).header());
    forged.add(new Forge(good).columns(good.columns() - 1).header());
    forged.add(new Forge(good).columns(good.columns() + 1).header());
    forged.add(new Forge(good).rows(0).header());
    for (Phase phase : Phase.values()) {
      if (phase != Phase.REPLICA && phase != Phase.RESTORE && phase != Phase.CHECKPOINT) {
        forged.add(new Forge(good).phase(phase).header());
      }
    }
    // The last chunk is shorter than the others.
    forged.add(new Forge(good).microBatch(ShardChunk.count(catalog.elements(TRUNK)) - 1).header());
    for (BatchHeader header : forged) {
      assertNull(arrivals.allocate(header), header::toString);
      AtomicInteger released = new AtomicInteger();
      arrivals.onBatch(header, given(MemorySegment.NULL, released));
      assertEquals(1, released.get(), header::toString);
    }
    assertEquals(0, memory.heldBytes());
    assertNotNull(arrivals.allocate(good), "and the one they were made from is taken");
  }

  @Test
  void shouldBoundWhatRandomHeadersAllocate() {
    arrivals.epoch(EPOCH);
    long seed = 20;
    Random random = new Random(seed);
    for (int i = 0; i < 20_000; i++) {
      BatchHeader header =
          new BatchHeader(
              RUN_ID,
              EPOCH,
              random.nextLong(1000),
              random.nextInt(-2, 3),
              random.nextInt(-1, 6),
              random.nextInt(-1, 4),
              random.nextInt(-1, 4),
              Phase.values()[random.nextInt(Phase.values().length)],
              1,
              1,
              random.nextInt(4) == 0 ? random.nextInt() : ShardChunk.ELEMENTS);
      Payload place = arrivals.allocate(header);
      if (place != null) {
        assertEquals(header.payloadBytes(), place.bytes().byteSize());
        place.release();
      }
    }
    long all = catalog.shards().stream().mapToLong(catalog::bytes).sum();
    long held = memory.heldBytes();
    assertTrue(held > 0 && held <= 3 * 2 * all, "held " + held + " of " + all + ", seed " + seed);
    assertEquals(held, arrivals.incompleteBytes());
    arrivals.close();
    assertEquals(0, memory.heldBytes());
  }

  @Test
  void shouldTakeNothingBeforeTheFirstEpochOrAfterTheEnd() {
    BatchHeader good = header(TRUNK, 7, 0);
    assertNull(arrivals.allocate(new Forge(good).epoch(Integer.MIN_VALUE).header()));
    arrivals.epoch(EPOCH);
    arrivals.close();
    assertNull(arrivals.allocate(good));
    assertNull(arrivals.allocate(new Forge(good).epoch(Integer.MAX_VALUE).header()));
    assertEquals(0, memory.heldBytes());
  }

  @Test
  void shouldFreeWhatAnEpochLeavesIncompleteOnceNobodyWritesThere() {
    arrivals.epoch(EPOCH);
    BatchHeader header = header(TRUNK, 7, 0);
    Payload place = arrivals.allocate(header);
    arrivals.epoch(EPOCH + 1);
    assertEquals(0, arrivals.incompleteBytes());
    assertEquals(catalog.bytes(TRUNK), memory.heldBytes(), "a transport still writes there");
    place.bytes().fill((byte) 1);
    arrivals.onBatch(header, place);
    assertEquals(0, memory.heldBytes());
    assertEquals(List.of(), whole);
    arrivals.epoch(EPOCH);
    assertNull(arrivals.allocate(header), "epochs do not go back");
  }

  @Test
  void shouldSayWholeOnceWhateverTheOrderAndRepeats() {
    arrivals.epoch(EPOCH);
    int chunks = ShardChunk.count(catalog.elements(TRUNK));
    assertTrue(chunks > 2, "chunks: " + chunks);
    for (int chunk = chunks - 1; chunk >= 0; chunk--) {
      assertEquals(0, whole.size());
      arrive(header(TRUNK, 7, chunk), (byte) chunk);
      if (chunk > 0) {
        arrive(header(TRUNK, 7, chunk), (byte) chunk);
      }
    }
    assertEquals(1, whole.size());
    assertEquals(0, repeated.get());
    assertEquals(0, arrivals.incompleteBytes());
    assertNull(arrivals.allocate(header(TRUNK, 7, 1)));
    assertEquals(1, repeated.get(), "its sender has not heard");
    whole.getFirst().release();
    assertEquals(0, memory.heldBytes());
  }

  @Test
  void shouldMakeRoomForTheNewestSteps() {
    arrivals.epoch(EPOCH);
    arrive(header(TRUNK, 7, 0), (byte) 7);
    arrive(header(TRUNK, 8, 0), (byte) 8);
    arrive(header(TRUNK, 9, 0), (byte) 9);
    assertEquals(2 * catalog.bytes(TRUNK), memory.heldBytes());
    assertNull(arrivals.allocate(header(TRUNK, 7, 1)), "older than both");
  }

  @Test
  void shouldCopyWhatIsHandedOverAndGiveItBack() {
    arrivals.epoch(EPOCH);
    ShardCopy sent = Fixtures.random(memory, TRUNK, 7, 3);
    AtomicInteger released = new AtomicInteger();
    int chunks = ShardChunk.count(catalog.elements(TRUNK));
    for (int i = 0; i < chunks; i++) {
      ShardChunk chunk = new ShardChunk(Phase.REPLICA, TRUNK, 7, i);
      arrivals.onBatch(
          chunk.header(RUN_ID, EPOCH, catalog), given(chunk.of(sent.bytes(), catalog), released));
    }
    assertEquals(chunks, released.get());
    assertArrayEquals(Fixtures.bytes(sent), Fixtures.bytes(whole.getFirst()));
    assertTrue(sent.bytes().address() != whole.getFirst().bytes().address());
  }

  private static Payload given(MemorySegment bytes, AtomicInteger released) {
    return new Payload() {
      @Override
      public MemorySegment bytes() {
        return bytes;
      }

      @Override
      public void release() {
        released.incrementAndGet();
      }
    };
  }

  /** A header with one field changed. */
  private static final class Forge {
    private BatchHeader header;

    Forge(BatchHeader header) {
      this.header = header;
    }

    BatchHeader header() {
      return header;
    }

    Forge runId(long runId) {
      return with(runId, header.epoch(), header.step(), header.layer(), header.microBatch());
    }

    Forge epoch(int epoch) {
      return with(header.runId(), epoch, header.step(), header.layer(), header.microBatch());
    }

    Forge step(long step) {
      return with(header.runId(), header.epoch(), step, header.layer(), header.microBatch());
    }

    Forge layer(int layer) {
      return with(header.runId(), header.epoch(), header.step(), layer, header.microBatch());
    }

    Forge microBatch(int microBatch) {
      return with(header.runId(), header.epoch(), header.step(), header.layer(), microBatch);
    }

    Forge rank(int rank) {
      return with(rank, header.expert(), header.phase(), header.dtypeCode(), header.rows());
    }

    Forge expert(int expert) {
      return with(header.rank(), expert, header.phase(), header.dtypeCode(), header.rows());
    }

    Forge phase(Phase phase) {
      return with(header.rank(), header.expert(), phase, header.dtypeCode(), header.rows());
    }

    Forge dtype(int dtypeCode) {
      return with(header.rank(), header.expert(), header.phase(), dtypeCode, header.rows());
    }

    Forge rows(int rows) {
      return with(header.rank(), header.expert(), header.phase(), header.dtypeCode(), rows);
    }

    Forge columns(int columns) {
      header =
          new BatchHeader(
              header.runId(),
              header.epoch(),
              header.step(),
              header.layer(),
              header.microBatch(),
              header.rank(),
              header.expert(),
              header.phase(),
              header.dtypeCode(),
              header.rows(),
              columns);
      return this;
    }

    private Forge with(long runId, int epoch, long step, int layer, int microBatch) {
      header =
          new BatchHeader(
              runId,
              epoch,
              step,
              layer,
              microBatch,
              header.rank(),
              header.expert(),
              header.phase(),
              header.dtypeCode(),
              header.rows(),
              header.columns());
      return this;
    }

    private Forge with(int rank, int expert, Phase phase, int dtypeCode, int rows) {
      header =
          new BatchHeader(
              header.runId(),
              header.epoch(),
              header.step(),
              header.layer(),
              header.microBatch(),
              rank,
              expert,
              phase,
              dtypeCode,
              rows,
              header.columns());
      return this;
    }
  }
}
