package troupe.transport;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteOrder;
import java.util.HexFormat;
import java.util.zip.CRC32C;
import org.agrona.concurrent.UnsafeBuffer;
import org.junit.jupiter.api.Test;

class FrameFlyweightTest {
  private static final long RUN_ID = 0x0102030405060708L;
  private static final long STEP = 0x1112131415161718L;
  private static final BatchHeader HEADER =
      new BatchHeader(RUN_ID, 9, STEP, -1, 10, 11, 12, Phase.TRUNK_GRADIENT, 2, 3, 130);
  private static final BatchId ID = new BatchId(0x2122232425262728L, 0x3132333435363738L);

  @Test
  void shouldReadBackWhatWasWritten() {
    byte[] bytes = Frames.at(HEADER, ID, 2048, 2048);
    FrameFlyweight frame = new FrameFlyweight().wrap(new UnsafeBuffer(bytes), 0, bytes.length);
    assertEquals(FrameFlyweight.MAGIC, frame.magic());
    assertEquals(FrameFlyweight.VERSION, frame.version());
    assertEquals(HEADER, frame.batch());
    assertTrue(frame.describes(HEADER));
    assertEquals(ID, new BatchId(frame.source(), frame.sequence()));
    assertEquals(2048, frame.stride());
    assertEquals(3 * 130 * 8, frame.totalBytes());
    assertEquals(2048, frame.chunkOffset());
    assertEquals(3 * 130 * 8 - 2048, frame.chunkLength());
  }

  @Test
  void shouldKeepTheDrawnLayoutWhenTheCodeChanges() {
    BatchHeader noRows = new BatchHeader(RUN_ID, 9, STEP, -1, 10, 11, 12, Phase.OUTPUT, 1, 0, 64);
    byte[] bytes = Frames.at(noRows, ID, 2048, 0);
    // Field by field as in the drawing; a frame of this version must look like this for ever.
    String withoutChecksum =
        "54525045"
            + "02020100"
            + "0807060504030201"
            + "2827262524232221"
            + "3837363534333231"
            + "1817161514131211"
            + "09000000"
            + "ffffffff"
            + "0a000000"
            + "0b000000"
            + "0c000000"
            + "00000000"
            + "40000000"
            + "00080000"
            + "0000000000000000"
            + "0000000000000000"
            + "00000000";
    byte[] expected = HexFormat.of().parseHex(withoutChecksum + "00000000");
    CRC32C crc = new CRC32C();
    crc.update(expected);
    new UnsafeBuffer(expected).putInt(92, (int) crc.getValue(), ByteOrder.LITTLE_ENDIAN);
    assertEquals(HexFormat.of().formatHex(expected), HexFormat.of().formatHex(bytes));
  }

  @Test
  void shouldNotDescribeAnyOtherBatch() {
    byte[] bytes = Frames.at(HEADER, ID, 2048, 0);
    FrameFlyweight frame = new FrameFlyweight().wrap(new UnsafeBuffer(bytes), 0, bytes.length);
    for (int at = FrameFlyweight.PHASE_OFFSET; at < FrameFlyweight.CHUNK_STRIDE_OFFSET; at++) {
      boolean isOther =
          at == FrameFlyweight.FLAGS_OFFSET
              || at >= FrameFlyweight.SOURCE_OFFSET && at < FrameFlyweight.STEP_OFFSET;
      bytes[at] ^= 1;
      assertEquals(isOther, frame.describes(HEADER), "byte " + at);
      bytes[at] ^= 1;
    }
  }

  @Test
  void shouldFillPacketsWithAlignedChunks() {
    assertEquals(65_344, FrameFlyweight.strideFor(65_504 - 32));
    assertEquals(1_280, FrameFlyweight.strideFor(1_408 - 32));
    assertTrue(FrameFlyweight.strideFor(1_152 - 32) >= FrameFlyweight.MIN_STRIDE);
    assertFalse(FrameFlyweight.strideFor(1_152 - 64) >= FrameFlyweight.MIN_STRIDE);
  }

  @Test
  void shouldChangeTheChecksumWhenAnyBitChanges() {
    byte[] bytes = Frames.at(HEADER, ID, 2048, 2048);
    FrameMemory memory = new FrameMemory();
    int sealed = memory.checksum(new UnsafeBuffer(bytes), 0, bytes.length);
    for (int bit = 0; bit < 8 * bytes.length; bit++) {
      bytes[bit / 8] ^= (byte) (1 << bit % 8);
      int changed = memory.checksum(new UnsafeBuffer(bytes), 0, bytes.length);
      boolean isChecksumField = bit / 32 == FrameFlyweight.CHECKSUM_OFFSET / 4;
      if (isChecksumField) {
        assertEquals(sealed, changed);
      } else {
        assertNotEquals(sealed, changed, "bit " + bit);
      }
      bytes[bit / 8] ^= (byte) (1 << bit % 8);
    }
  }
}
