package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

class FrameDecoderTest {
  private static final int STRIDE = 1024;

  /** 2000 bytes: chunks of 1024 and 976. */
  private static final BatchHeader HEADER = Batches.header(7, 5, 100);

  private static final BatchId ID = new BatchId(1, 2);

  private final FrameFlyweight frame = new FrameFlyweight();
  private final FrameMemory memory = new FrameMemory();

  private Verdict decode(byte[] bytes) {
    return FrameDecoder.decode(frame, memory, Way.UDP, new UnsafeBuffer(bytes), 0, bytes.length);
  }

  @Test
  void shouldAcceptEveryFrameOfABatch() {
    for (byte[] bytes : Frames.of(HEADER, ID, STRIDE)) {
      assertEquals(Verdict.ACCEPTED, decode(bytes));
    }
    for (byte[] bytes : Frames.of(Batches.header(1, 0, 100), ID, STRIDE)) {
      assertEquals(Verdict.ACCEPTED, decode(bytes));
    }
  }

  @Test
  void shouldFindTheFrameWhereverItLies() {
    byte[] bytes = Frames.at(HEADER, ID, STRIDE, 1024);
    ByteBuffer direct = ByteBuffer.allocateDirect(3 * bytes.length);
    UnsafeBuffer slice = new UnsafeBuffer(direct, 40, 2 * bytes.length);
    slice.putBytes(64, bytes);
    assertEquals(
        Verdict.ACCEPTED, FrameDecoder.decode(frame, memory, Way.UDP, slice, 64, bytes.length));
    byte[] array = new byte[3 * bytes.length];
    UnsafeBuffer heap = new UnsafeBuffer(array, 40, 2 * bytes.length);
    heap.putBytes(64, bytes);
    assertEquals(
        Verdict.ACCEPTED, FrameDecoder.decode(frame, memory, Way.UDP, heap, 64, bytes.length));
  }

  @ParameterizedTest
  @EnumSource
  void shouldCarryEveryPhase(Phase phase) {
    BatchHeader header = new BatchHeader(Batches.RUN_ID, 1, 2, 3, 4, 5, 6, phase, 1, 1, 7);
    assertEquals(Verdict.ACCEPTED, decode(Frames.at(header, ID, STRIDE, 0)));
    assertEquals(header, frame.batch());
  }

  @Test
  void shouldKeepTheCodesOfPhases() {
    // They are in frames of other versions too.
    assertEquals(
        List.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
        Arrays.stream(Phase.values()).map(Phase::code).toList());
    assertEquals(Phase.REPLICA, Phase.of(8));
    assertEquals(Phase.RESTORE, Phase.of(9));
    assertEquals(Phase.CHECKPOINT, Phase.of(10));
  }

  @Test
  void shouldCheckTheHeaderOnlyInSharedMemory() {
    byte[] bytes = Frames.at(Way.IPC, HEADER, ID, STRIDE, 0);
    bytes[FrameFlyweight.HEADER_LENGTH] ^= 1;
    assertEquals(Verdict.ACCEPTED, decode(Way.IPC, bytes));
    for (int bit = 0; bit < 8 * FrameFlyweight.HEADER_LENGTH; bit++) {
      byte[] changed = bytes.clone();
      changed[bit / 8] ^= (byte) (1 << bit % 8);
      assertNotEquals(Verdict.ACCEPTED, decode(Way.IPC, changed), "bit " + bit);
    }
  }

  @Test
  void shouldRefuseFramesOfOneWayOnTheOther() {
    byte[] udp = Frames.at(Way.UDP, HEADER, ID, STRIDE, 0);
    byte[] ipc = Frames.at(Way.IPC, HEADER, ID, STRIDE, 0);
    assertEquals(Verdict.CORRUPT, decode(Way.UDP, ipc));
    assertEquals(Verdict.MALFORMED, decode(Way.UDP, Frames.seal(Way.UDP, ipc)));
    assertEquals(Verdict.CORRUPT, decode(Way.IPC, udp));
    assertEquals(Verdict.MALFORMED, decode(Way.IPC, Frames.seal(Way.IPC, udp)));
  }

  private static byte[] notice(int referenceBytes) {
    return Frames.of(HEADER, ID, new Notice(3, 4, 5, new byte[referenceBytes]));
  }

  @Test
  void shouldReadANoticeBack() {
    Notice notice = new Notice(-3, 1L << 40, 5, new byte[] {1, 2, 3});
    byte[] bytes = Frames.of(HEADER, ID, notice);
    assertEquals(Verdict.ACCEPTED, decode(Way.IPC, bytes));
    assertEquals(Way.PICK_UP, frame.way(Way.IPC));
    assertEquals(HEADER, frame.batch());
    Notice read =
        Notice.read(new UnsafeBuffer(bytes), FrameFlyweight.HEADER_LENGTH, frame.chunkLength());
    assertEquals(notice.lender(), read.lender());
    assertEquals(notice.number(), read.number());
    assertEquals(notice.node(), read.node());
    assertArrayEquals(notice.reference(), read.reference());
    for (int bit = 0; bit < 8 * bytes.length; bit++) {
      byte[] changed = bytes.clone();
      changed[bit / 8] ^= (byte) (1 << bit % 8);
      assertNotEquals(Verdict.ACCEPTED, decode(Way.IPC, changed), "bit " + bit);
    }
  }

  @Test
  void shouldTakeNoticesInSharedMemoryOnly() {
    assertEquals(Verdict.MALFORMED, decode(Way.UDP, notice(10)));
    assertEquals(Verdict.MALFORMED, decode(Way.UDP, Frames.seal(Way.UDP, notice(10))));
  }

  @Test
  void shouldCallANoticeMalformedThatContradictsItself() {
    assertEquals(Verdict.ACCEPTED, decode(Way.IPC, notice(0)));
    int most = Notice.MAX_LENGTH - Notice.MIN_LENGTH;
    assertEquals(Verdict.ACCEPTED, decode(Way.IPC, notice(most)));
    assertThrows(IllegalArgumentException.class, () -> notice(most + 1));
    byte[] tooShort = Arrays.copyOf(notice(0), notice(0).length - 1);
    assertMalformed(tooShort, f -> f.putInt(FrameFlyweight.CHUNK_LENGTH_OFFSET, 19));
    byte[] tooLong = Arrays.copyOf(notice(most), notice(most).length + 1);
    assertMalformed(
        tooLong, f -> f.putInt(FrameFlyweight.CHUNK_LENGTH_OFFSET, Notice.MAX_LENGTH + 1));
    assertMalformed(notice(9), f -> f.putInt(FrameFlyweight.CHUNK_STRIDE_OFFSET, 1024));
    assertMalformed(notice(9), f -> f.putLong(FrameFlyweight.CHUNK_OFFSET_OFFSET, 1024));
    assertMalformed(notice(9), f -> f.putInt(FrameFlyweight.ROWS_OFFSET, -1));
    assertMalformed(notice(9), f -> f.putLong(FrameFlyweight.TOTAL_BYTES_OFFSET, 4));
  }

  private void assertMalformed(byte[] bytes, Consumer<ByteBuffer> change) {
    change.accept(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    assertEquals(Verdict.MALFORMED, decode(Way.IPC, Frames.seal(Way.PICK_UP, bytes)));
  }

  private Verdict decode(Way way, byte[] bytes) {
    return FrameDecoder.decode(frame, memory, way, new UnsafeBuffer(bytes), 0, bytes.length);
  }

  static Stream<Arguments> contradictions() {
    return Stream.of(
        change("flags", f -> f.put(FrameFlyweight.FLAGS_OFFSET, (byte) 1)),
        change("other flags", f -> f.put(FrameFlyweight.FLAGS_OFFSET, (byte) 0x80)),
        change("phase 0", f -> f.put(FrameFlyweight.PHASE_OFFSET, (byte) 0)),
        change("phase 11", f -> f.put(FrameFlyweight.PHASE_OFFSET, (byte) 11)),
        change("phase -1", f -> f.put(FrameFlyweight.PHASE_OFFSET, (byte) -1)),
        change("dtype 0", f -> f.put(FrameFlyweight.DTYPE_OFFSET, (byte) 0)),
        change("dtype 4", f -> f.put(FrameFlyweight.DTYPE_OFFSET, (byte) 4)),
        change("dtype of another total", f -> f.put(FrameFlyweight.DTYPE_OFFSET, (byte) 2)),
        change("rows < 0", f -> f.putInt(FrameFlyweight.ROWS_OFFSET, -5)),
        change("rows and columns < 0", f -> shape(f, -5, -100)),
        change("another shape", f -> shape(f, 5, 101)),
        // 2^63 and about 2^64: negative, were they computed in 64 bits.
        change("a total that overflows", f -> overflowing(f, 1 << 30, 1 << 30, 2)),
        change("a total that overflows", f -> overflowing(f, -1 >>> 1, -1 >>> 1, 1)),
        change("total", f -> f.putLong(FrameFlyweight.TOTAL_BYTES_OFFSET, 2004)),
        change("total < 0", f -> f.putLong(FrameFlyweight.TOTAL_BYTES_OFFSET, -2000)),
        change("stride 0", f -> f.putInt(FrameFlyweight.CHUNK_STRIDE_OFFSET, 0)),
        change("stride < 0", f -> f.putInt(FrameFlyweight.CHUNK_STRIDE_OFFSET, -1024)),
        change("tiny stride", f -> f.putInt(FrameFlyweight.CHUNK_STRIDE_OFFSET, 64)),
        change("unaligned stride", f -> f.putInt(FrameFlyweight.CHUNK_STRIDE_OFFSET, 1025)),
        change("another stride", f -> f.putInt(FrameFlyweight.CHUNK_STRIDE_OFFSET, 2048)),
        change("offset < 0", f -> f.putLong(FrameFlyweight.CHUNK_OFFSET_OFFSET, -1024)),
        change("least offset", f -> f.putLong(FrameFlyweight.CHUNK_OFFSET_OFFSET, Long.MIN_VALUE)),
        change("unaligned offset", f -> f.putLong(FrameFlyweight.CHUNK_OFFSET_OFFSET, 1)),
        change("offset of the last", f -> f.putLong(FrameFlyweight.CHUNK_OFFSET_OFFSET, 1024)),
        change("offset beyond", f -> f.putLong(FrameFlyweight.CHUNK_OFFSET_OFFSET, 2048)),
        change("largest offset", f -> f.putLong(FrameFlyweight.CHUNK_OFFSET_OFFSET, -1L >>> 1)),
        change("magic", f -> f.putInt(FrameFlyweight.MAGIC_OFFSET, 0)),
        change("version", f -> f.put(FrameFlyweight.VERSION_OFFSET, (byte) 1)),
        change("length", f -> f.putInt(FrameFlyweight.CHUNK_LENGTH_OFFSET, 1023)));
  }

  private static Arguments change(String name, Consumer<ByteBuffer> change) {
    return Arguments.of(name, change);
  }

  private static void shape(ByteBuffer f, int rows, int columns) {
    f.putInt(FrameFlyweight.ROWS_OFFSET, rows).putInt(FrameFlyweight.COLUMNS_OFFSET, columns);
  }

  private static void overflowing(ByteBuffer f, int rows, int columns, int dtypeCode) {
    shape(f, rows, columns);
    f.put(FrameFlyweight.DTYPE_OFFSET, (byte) dtypeCode);
    f.putLong(FrameFlyweight.TOTAL_BYTES_OFFSET, (long) rows * columns * 4 * dtypeCode);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("contradictions")
  void shouldCallItMalformedWhenASealedFrameContradictsItself(
      String name, Consumer<ByteBuffer> change) {
    byte[] bytes = Frames.at(HEADER, ID, STRIDE, 0);
    change.accept(ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    assertEquals(Verdict.MALFORMED, decode(Frames.seal(bytes)), name);
  }

  @Test
  void shouldCallItMalformedWhenTruncatedOrLonger() {
    byte[] bytes = Frames.at(HEADER, ID, STRIDE, 0);
    for (int length = 0; length < bytes.length; length++) {
      assertEquals(Verdict.MALFORMED, decode(Arrays.copyOf(bytes, length)), "length " + length);
    }
    assertEquals(Verdict.MALFORMED, decode(Arrays.copyOf(bytes, bytes.length + 1)));
  }

  @Test
  void shouldNeverAcceptAFrameWithAChangedBit() {
    byte[] bytes = Frames.at(HEADER, ID, STRIDE, 1024);
    for (int bit = 0; bit < 8 * bytes.length; bit++) {
      bytes[bit / 8] ^= (byte) (1 << bit % 8);
      boolean isStructure =
          bit / 8 < FrameFlyweight.PHASE_OFFSET
              || bit / 32 == FrameFlyweight.CHUNK_LENGTH_OFFSET / 4;
      assertEquals(isStructure ? Verdict.MALFORMED : Verdict.CORRUPT, decode(bytes), "bit " + bit);
      bytes[bit / 8] ^= (byte) (1 << bit % 8);
    }
  }
}
