package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ThreadLocalRandom;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/**
 * Throws random, mutated, cut, repeated and shuffled frames at an assembler. {@code -Dfuzz.seed=N}
 * replays a run.
 */
class FrameFuzzTest {
  private static final int FRAMES = 120_000;
  private static final int GUARD = 256;
  private static final byte CANARY = 0x5a;
  private static final TransportSettings.Inbound BOUNDS =
      new TransportSettings.Inbound(1 << 19, 8, 1 << 18, Duration.ofNanos(2_000));

  private final long seed = Long.getLong("fuzz.seed", ThreadLocalRandom.current().nextLong());
  private final SplittableRandom random = new SplittableRandom(seed);
  private final LiveCounters counters = new LiveCounters();
  private final Map<Verdict, Long> verdicts = new EnumMap<>(Verdict.class);
  private final Map<CountedPayload, MemorySegment> guarded = new IdentityHashMap<>();
  private final List<CountedPayload> payloads = new ArrayList<>();
  private final List<byte[]> recent = new ArrayList<>();
  private final List<List<byte[]>> streams = new ArrayList<>();
  private List<byte[]> stream;
  private final List<Throwable> errors = new ArrayList<>();
  private long numCompleted;
  private Way way;
  private boolean isSealing;

  /** Destinations lie between guards, so that a write outside of one shows. */
  private final BatchReceiver receiver =
      new BatchReceiver() {
        @Override
        public Payload allocate(BatchHeader header) {
          if (header.payloadBytes() > 1 << 18 || header.rank() == 13) {
            return null;
          }
          long bytes = header.payloadBytes();
          byte[] array = new byte[Math.toIntExact(bytes + 2 * GUARD)];
          MemorySegment memory = MemorySegment.ofArray(array).fill(CANARY);
          CountedPayload payload = new CountedPayload(memory.asSlice(GUARD, bytes));
          guarded.put(payload, memory);
          payloads.add(payload);
          return payload;
        }

        @Override
        public void onBatch(BatchHeader header, Payload payload) {
          numCompleted++;
          if (!isSealing) {
            byte[] rows = payload.bytes().toArray(ValueLayout.JAVA_BYTE);
            assertArrayEquals(Batches.rows(header), rows, "seed " + seed);
          }
          payload.release();
        }
      };

  private final Assembler assembler =
      new Assembler(
          Batches.RUN_ID,
          new InboundBudget(BOUNDS),
          receiver,
          new PickUps(Path.of("."), receiver, TransportEvents.NONE, counters),
          new TransportEvents() {
            @Override
            public void onError(Throwable error) {
              errors.add(error);
            }
          },
          counters);

  /** In shared memory, changed rows are not noticed: the checksum is of the header. */
  @ParameterizedTest(name = "{0}, changed frames sealed again: {1}")
  @CsvSource({"UDP, false", "UDP, true", "IPC, true"})
  void shouldCountEveryFrameOnceAndNeverWriteElsewhere(Way comingBy, boolean sealing) {
    System.out.printf("FrameFuzzTest %s sealing=%s -Dfuzz.seed=%d%n", comingBy, sealing, seed);
    way = comingBy;
    isSealing = sealing;
    assembler.epoch(1);
    UnsafeBuffer buffer = new UnsafeBuffer(ByteBuffer.allocateDirect(1 << 17));
    for (int now = 0; now < FRAMES; now++) {
      byte[] frame = nextFrame();
      int offset = 8 * random.nextInt(16);
      buffer.putBytes(offset, frame);
      Verdict verdict = assembler.onFrame(way, buffer, offset, frame.length, now);
      verdicts.merge(verdict, 1L, Long::sum);
      remember(frame, verdict);
      if (now % 512 == 0) {
        assembler.expire(now);
        checkGuards();
      }
    }
    assembler.close();
    checkGuards();
    checkCounts();
  }

  private void checkCounts() {
    String hint = "seed " + seed + " " + verdicts;
    assertEquals(List.of(), errors, hint);
    assertEquals(FRAMES, verdicts.values().stream().mapToLong(n -> n).sum(), hint);
    assertEquals(verdict(Verdict.ACCEPTED), counters.acceptedFrames.sum(), hint);
    assertEquals(verdict(Verdict.MALFORMED), counters.malformedFrames.sum(), hint);
    assertEquals(verdict(Verdict.CORRUPT), counters.corruptFrames.sum(), hint);
    assertEquals(verdict(Verdict.FOREIGN), counters.foreignFrames.sum(), hint);
    assertEquals(verdict(Verdict.DUPLICATE), counters.duplicateFrames.sum(), hint);
    assertEquals(verdict(Verdict.DISCARDED), counters.discardedFrames.sum(), hint);
    assertEquals(numCompleted, counters.of(way).snapshot().batchesReceived(), hint);
    assertEquals(payloads.size(), numCompleted + counters.abandonedBatches.sum(), hint);
    assertTrue(payloads.stream().allMatch(payload -> payload.releases() == 1), hint);
    // A fuzzer that reaches only the first check proves nothing.
    for (Verdict verdict : Verdict.values()) {
      boolean isReachable = !isSealing || verdict != Verdict.CORRUPT;
      assertEquals(isReachable, verdict(verdict) > 20, verdict + " " + hint);
    }
    assertTrue(numCompleted > 1000, numCompleted + " " + hint);
    assertTrue(counters.abandonedBatches.sum() > 20, hint);
    assertTrue(counters.refusedBatches.sum() > 20, hint);
  }

  private long verdict(Verdict verdict) {
    return verdicts.getOrDefault(verdict, 0L);
  }

  private byte[] nextFrame() {
    stream = null;
    return switch (random.nextInt(20)) {
      case 0 -> noise();
      case 1, 2 -> cut(anyRecent());
      case 3, 4, 5, 6 -> mutated(anyRecent());
      case 7, 8 -> anyRecent();
      default -> random.nextInt(200) == 0 ? lost() : next();
    };
  }

  /** The next frame of a few batches that arrive interleaved, each in any order. */
  private byte[] next() {
    while (streams.size() < 12) {
      streams.add(new ArrayList<>(batch()));
    }
    int which = random.nextInt(streams.size());
    stream = streams.get(which);
    byte[] frame = stream.remove(random.nextInt(stream.size()));
    if (stream.isEmpty()) {
      streams.remove(which);
    }
    return frame;
  }

  /** What was held stays in its stream; what was taken may come again. */
  private void remember(byte[] frame, Verdict verdict) {
    if (stream == null) {
      return;
    }
    if (verdict == Verdict.HELD) {
      if (stream.isEmpty()) {
        streams.add(stream);
      }
      stream.add(frame);
    } else {
      recent.add(frame);
    }
    if (recent.size() > 64) {
      recent.removeFirst();
    }
  }

  /** One frame never comes; the one after it does. */
  private byte[] lost() {
    next();
    return next();
  }

  private byte[] anyRecent() {
    return recent.isEmpty() ? noise() : recent.get(random.nextInt(recent.size())).clone();
  }

  private List<byte[]> batch() {
    long runId = random.nextInt(50) == 0 ? random.nextLong() : Batches.RUN_ID;
    int epoch = random.nextInt(50) == 0 ? 0 : 1;
    int rows = random.nextInt(8) == 0 ? 0 : random.nextInt(1, 60);
    boolean isLarge = random.nextInt(40) == 0;
    int columns = isLarge ? 3000 : random.nextInt(0, 40);
    BatchHeader header =
        new BatchHeader(
            runId,
            epoch,
            random.nextLong(),
            random.nextInt(-1, 4),
            random.nextInt(4),
            random.nextInt(30),
            random.nextInt(8),
            Phase.of(random.nextInt(1, 11)),
            random.nextInt(1, 3),
            rows,
            columns);
    int stride = isLarge ? 65_344 : 1024 + 64 * random.nextInt(16);
    return Frames.of(way, header, new BatchId(random.nextInt(3), random.nextLong()), stride);
  }

  private byte[] noise() {
    byte[] noise = new byte[random.nextInt(3000)];
    random.nextBytes(noise);
    return noise;
  }

  private byte[] cut(byte[] frame) {
    return Arrays.copyOf(frame, random.nextInt(frame.length + 1));
  }

  private byte[] mutated(byte[] frame) {
    if (frame.length < Integer.BYTES) {
      return frame;
    }
    UnsafeBuffer buffer = new UnsafeBuffer(frame);
    int changes = random.nextInt(1, 4);
    for (int i = 0; i < changes; i++) {
      // Mostly the header: that is where trust would hurt.
      int header = Math.min(frame.length, FrameFlyweight.HEADER_LENGTH);
      int at = random.nextInt(random.nextInt(4) == 0 ? frame.length : header);
      switch (random.nextInt(3)) {
        case 0 -> frame[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> buffer.putInt(Math.min(at & ~3, frame.length - Integer.BYTES), interesting());
        default -> frame[at] = (byte) random.nextInt();
      }
    }
    if (isSealing && frame.length >= FrameFlyweight.HEADER_LENGTH) {
      Frames.seal(way, frame);
    }
    return frame;
  }

  private int interesting() {
    int[] values = {0, 1, -1, Integer.MAX_VALUE, Integer.MIN_VALUE, 64, 1024, 1 << 20, 65_536};
    return values[random.nextInt(values.length)];
  }

  private void checkGuards() {
    for (MemorySegment memory : guarded.values()) {
      for (int i = 0; i < GUARD; i += Long.BYTES) {
        assertEquals(0x5a5a5a5a5a5a5a5aL, memory.get(ValueLayout.JAVA_LONG_UNALIGNED, i));
        long atEnd = memory.byteSize() - Long.BYTES - i;
        assertEquals(0x5a5a5a5a5a5a5a5aL, memory.get(ValueLayout.JAVA_LONG_UNALIGNED, atEnd));
      }
    }
    guarded.keySet().removeIf(payload -> payload.releases() == 1);
  }
}
