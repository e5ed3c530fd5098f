package troupe.transport;

import static java.nio.ByteOrder.LITTLE_ENDIAN;

import java.nio.ByteOrder;
import org.agrona.DirectBuffer;
import org.agrona.MutableDirectBuffer;
import org.agrona.concurrent.UnsafeBuffer;

/**
 * One frame: a header and a chunk of the rows of a batch. All fields are little endian; the rows
 * keep the byte order of the machine that sent them (flag bit 0: big endian). A batch without rows
 * is one frame without a chunk. In shared memory the checksum covers the header only (flag bit 1):
 * it tells frames from what others write there, and the rows are as safe as in any other memory of
 * this machine, while reading them again would cost as much as copying them. Rows that stay where
 * they are (flag bit 2) have one frame, with a {@link Notice} in place of a chunk, stride and
 * offset zero.
 *
 * <pre>
 *   0                   1                   2                   3
 *   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *  +---------------------------------------------------------------+
 *  |                        Magic "TRPE"                           |
 *  +---------------+---------------+---------------+---------------+
 *  |    Version    |     Phase     |     DType     |     Flags     |
 *  +---------------+---------------+---------------+---------------+
 *  |                            Run id                             |
 *  |                                                               |
 *  +---------------------------------------------------------------+
 *  |                 Source (start of a transport)                 |
 *  |                                                               |
 *  +---------------------------------------------------------------+
 *  |            Sequence (number of the batch at source)           |
 *  |                                                               |
 *  +---------------------------------------------------------------+
 *  |                             Step                              |
 *  |                                                               |
 *  +---------------------------------------------------------------+
 *  |                             Epoch                             |
 *  +---------------------------------------------------------------+
 *  |                             Layer                             |
 *  +---------------------------------------------------------------+
 *  |                          Micro-batch                          |
 *  +---------------------------------------------------------------+
 *  |                             Rank                              |
 *  +---------------------------------------------------------------+
 *  |                            Expert                             |
 *  +---------------------------------------------------------------+
 *  |                             Rows                              |
 *  +---------------------------------------------------------------+
 *  |                            Columns                            |
 *  +---------------------------------------------------------------+
 *  |            Chunk stride (length of all but the last)          |
 *  +---------------------------------------------------------------+
 *  |                          Total bytes                          |
 *  |                                                               |
 *  +---------------------------------------------------------------+
 *  |                         Chunk offset                          |
 *  |                                                               |
 *  +---------------------------------------------------------------+
 *  |                         Chunk length                          |
 *  +---------------------------------------------------------------+
 *  |    Checksum (CRC32C of what it covers, this field as zero)    |
 *  +---------------------------------------------------------------+
 *  |                        Rows, a chunk                         ...
 * ...                                                              |
 *  +---------------------------------------------------------------+
 * </pre>
 *
 * <p>Source and sequence name one offer: a frame seen twice is told from a batch that was sent
 * again on purpose, which a router does when an expert restarts.
 */
final class FrameFlyweight {
  /** "TRPE" as it stands in the frame. */
  static final int MAGIC = 0x45505254;

  static final byte VERSION = 2;

  /** Flag bit 0: the rows are big endian. */
  static final byte FLAG_BIG_ENDIAN = 1;

  /** Flag bit 1: the checksum covers the header only. */
  static final byte FLAG_HEADER_CHECKSUM = 2;

  /** Flag bit 2: a notice of rows in place of rows. */
  static final byte FLAG_NOTICE = 4;

  private static final byte BYTE_ORDER_FLAG =
      ByteOrder.nativeOrder() == LITTLE_ENDIAN ? 0 : FLAG_BIG_ENDIAN;

  /** Chunks begin and end on cache lines of the destination, so every row element is aligned. */
  static final int CHUNK_ALIGNMENT = 64;

  /** Bounds the book-keeping that a frame can ask of its receiver: one bit a KiB. */
  static final int MIN_STRIDE = 1024;

  static final int MAGIC_OFFSET = 0;
  static final int VERSION_OFFSET = MAGIC_OFFSET + Integer.BYTES;
  static final int PHASE_OFFSET = VERSION_OFFSET + Byte.BYTES;
  static final int DTYPE_OFFSET = PHASE_OFFSET + Byte.BYTES;
  static final int FLAGS_OFFSET = DTYPE_OFFSET + Byte.BYTES;
  static final int RUN_ID_OFFSET = FLAGS_OFFSET + Byte.BYTES;
  static final int SOURCE_OFFSET = RUN_ID_OFFSET + Long.BYTES;
  static final int SEQUENCE_OFFSET = SOURCE_OFFSET + Long.BYTES;
  static final int STEP_OFFSET = SEQUENCE_OFFSET + Long.BYTES;
  static final int EPOCH_OFFSET = STEP_OFFSET + Long.BYTES;
  static final int LAYER_OFFSET = EPOCH_OFFSET + Integer.BYTES;
  static final int MICRO_BATCH_OFFSET = LAYER_OFFSET + Integer.BYTES;
  static final int RANK_OFFSET = MICRO_BATCH_OFFSET + Integer.BYTES;
  static final int EXPERT_OFFSET = RANK_OFFSET + Integer.BYTES;
  static final int ROWS_OFFSET = EXPERT_OFFSET + Integer.BYTES;
  static final int COLUMNS_OFFSET = ROWS_OFFSET + Integer.BYTES;
  static final int CHUNK_STRIDE_OFFSET = COLUMNS_OFFSET + Integer.BYTES;
  static final int TOTAL_BYTES_OFFSET = CHUNK_STRIDE_OFFSET + Integer.BYTES;
  static final int CHUNK_OFFSET_OFFSET = TOTAL_BYTES_OFFSET + Long.BYTES;
  static final int CHUNK_LENGTH_OFFSET = CHUNK_OFFSET_OFFSET + Long.BYTES;
  static final int CHECKSUM_OFFSET = CHUNK_LENGTH_OFFSET + Integer.BYTES;

  /** Bytes before the chunk. */
  static final int HEADER_LENGTH = CHECKSUM_OFFSET + Integer.BYTES;

  private final UnsafeBuffer buffer = new UnsafeBuffer(0, 0);

  /** The largest chunk stride whose frames fit into {@code maxFrameBytes}. */
  static int strideFor(int maxFrameBytes) {
    return (maxFrameBytes - HEADER_LENGTH) / CHUNK_ALIGNMENT * CHUNK_ALIGNMENT;
  }

  /**
   * Looks at the frame of {@code length} bytes, at least {@link #HEADER_LENGTH}, at {@code offset}
   * of a buffer.
   */
  FrameFlyweight wrap(DirectBuffer memory, int offset, int length) {
    buffer.wrap(memory, offset, length);
    return this;
  }

  /** The flags of frames that this machine sends and understands on that way. */
  static byte flags(Way way) {
    byte ofWay =
        switch (way) {
          case IPC -> FLAG_HEADER_CHECKSUM;
          case PICK_UP -> FLAG_NOTICE;
          case HAND_OFF, PEER_COPY, UDP -> 0;
        };
    return (byte) (BYTE_ORDER_FLAG | ofWay);
  }

  /** How many bytes of a frame its checksum covers on that way. */
  static int checksummedLength(Way way, int frameLength) {
    return way == Way.IPC ? HEADER_LENGTH : frameLength;
  }

  /** Writes all fields that the frames of a batch have in common. */
  static void putBatch(
      MutableDirectBuffer memory, int offset, Way way, BatchHeader header, BatchId id, int stride) {
    memory.putInt(offset + MAGIC_OFFSET, MAGIC, LITTLE_ENDIAN);
    memory.putByte(offset + VERSION_OFFSET, VERSION);
    memory.putByte(offset + PHASE_OFFSET, (byte) header.phase().code());
    memory.putByte(offset + DTYPE_OFFSET, (byte) header.dtypeCode());
    memory.putByte(offset + FLAGS_OFFSET, flags(way));
    memory.putLong(offset + RUN_ID_OFFSET, header.runId(), LITTLE_ENDIAN);
    memory.putLong(offset + SOURCE_OFFSET, id.source(), LITTLE_ENDIAN);
    memory.putLong(offset + SEQUENCE_OFFSET, id.sequence(), LITTLE_ENDIAN);
    memory.putLong(offset + STEP_OFFSET, header.step(), LITTLE_ENDIAN);
    memory.putInt(offset + EPOCH_OFFSET, header.epoch(), LITTLE_ENDIAN);
    memory.putInt(offset + LAYER_OFFSET, header.layer(), LITTLE_ENDIAN);
    memory.putInt(offset + MICRO_BATCH_OFFSET, header.microBatch(), LITTLE_ENDIAN);
    memory.putInt(offset + RANK_OFFSET, header.rank(), LITTLE_ENDIAN);
    memory.putInt(offset + EXPERT_OFFSET, header.expert(), LITTLE_ENDIAN);
    memory.putInt(offset + ROWS_OFFSET, header.rows(), LITTLE_ENDIAN);
    memory.putInt(offset + COLUMNS_OFFSET, header.columns(), LITTLE_ENDIAN);
    memory.putInt(offset + CHUNK_STRIDE_OFFSET, stride, LITTLE_ENDIAN);
    memory.putLong(offset + TOTAL_BYTES_OFFSET, header.payloadBytes(), LITTLE_ENDIAN);
  }

  /** Writes which chunk a frame carries, and a zero checksum. */
  static void putChunk(MutableDirectBuffer memory, int offset, long chunkOffset, int chunkLength) {
    memory.putLong(offset + CHUNK_OFFSET_OFFSET, chunkOffset, LITTLE_ENDIAN);
    memory.putInt(offset + CHUNK_LENGTH_OFFSET, chunkLength, LITTLE_ENDIAN);
    memory.putInt(offset + CHECKSUM_OFFSET, 0, LITTLE_ENDIAN);
  }

  /** Seals a frame; the last thing written. */
  static void putChecksum(MutableDirectBuffer memory, int offset, int checksum) {
    memory.putInt(offset + CHECKSUM_OFFSET, checksum, LITTLE_ENDIAN);
  }

  int magic() {
    return buffer.getInt(MAGIC_OFFSET, LITTLE_ENDIAN);
  }

  byte version() {
    return buffer.getByte(VERSION_OFFSET);
  }

  byte flags() {
    return buffer.getByte(FLAGS_OFFSET);
  }

  /** The phase, or {@code null} if there is none with this code. */
  Phase phase() {
    return Phase.of(buffer.getByte(PHASE_OFFSET));
  }

  /** The way of the batch of a frame that came by {@code channel}. */
  Way way(Way channel) {
    return channel == Way.IPC && flags() == flags(Way.PICK_UP) ? Way.PICK_UP : channel;
  }

  int dtypeCode() {
    return buffer.getByte(DTYPE_OFFSET);
  }

  long runId() {
    return buffer.getLong(RUN_ID_OFFSET, LITTLE_ENDIAN);
  }

  long source() {
    return buffer.getLong(SOURCE_OFFSET, LITTLE_ENDIAN);
  }

  long sequence() {
    return buffer.getLong(SEQUENCE_OFFSET, LITTLE_ENDIAN);
  }

  int epoch() {
    return buffer.getInt(EPOCH_OFFSET, LITTLE_ENDIAN);
  }

  int rows() {
    return buffer.getInt(ROWS_OFFSET, LITTLE_ENDIAN);
  }

  int columns() {
    return buffer.getInt(COLUMNS_OFFSET, LITTLE_ENDIAN);
  }

  int stride() {
    return buffer.getInt(CHUNK_STRIDE_OFFSET, LITTLE_ENDIAN);
  }

  long totalBytes() {
    return buffer.getLong(TOTAL_BYTES_OFFSET, LITTLE_ENDIAN);
  }

  long chunkOffset() {
    return buffer.getLong(CHUNK_OFFSET_OFFSET, LITTLE_ENDIAN);
  }

  int chunkLength() {
    return buffer.getInt(CHUNK_LENGTH_OFFSET, LITTLE_ENDIAN);
  }

  int checksum() {
    return buffer.getInt(CHECKSUM_OFFSET, LITTLE_ENDIAN);
  }

  /** The batch that this frame is part of; only after its fields were checked. */
  BatchHeader batch() {
    return new BatchHeader(
        runId(),
        epoch(),
        buffer.getLong(STEP_OFFSET, LITTLE_ENDIAN),
        buffer.getInt(LAYER_OFFSET, LITTLE_ENDIAN),
        buffer.getInt(MICRO_BATCH_OFFSET, LITTLE_ENDIAN),
        buffer.getInt(RANK_OFFSET, LITTLE_ENDIAN),
        buffer.getInt(EXPERT_OFFSET, LITTLE_ENDIAN),
        phase(),
        dtypeCode(),
        rows(),
        columns());
  }

  /** Whether this frame says the same about its batch as {@code header}; makes no garbage. */
  boolean describes(BatchHeader header) {
    return runId() == header.runId()
        && epoch() == header.epoch()
        && buffer.getLong(STEP_OFFSET, LITTLE_ENDIAN) == header.step()
        && buffer.getInt(LAYER_OFFSET, LITTLE_ENDIAN) == header.layer()
        && buffer.getInt(MICRO_BATCH_OFFSET, LITTLE_ENDIAN) == header.microBatch()
        && buffer.getInt(RANK_OFFSET, LITTLE_ENDIAN) == header.rank()
        && buffer.getInt(EXPERT_OFFSET, LITTLE_ENDIAN) == header.expert()
        && phase() == header.phase()
        && dtypeCode() == header.dtypeCode()
        && rows() == header.rows()
        && columns() == header.columns();
  }
}
