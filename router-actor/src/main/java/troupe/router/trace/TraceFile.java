package troupe.router.trace;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import troupe.core.UserException;

/**
 * The trace of one rank and layer: a header, then records as they were written.
 *
 * <pre>  long magic    int version    int layer    int rank    int experts    long seed</pre>
 *
 * Opening reads the records' headers only. A step that was trained again after a failure is there
 * twice: the last one counts. Safe for many threads.
 */
public final class TraceFile implements AutoCloseable {
  /** What the names of these files end with. */
  public static final String SUFFIX = ".trace";

  static final int HEADER = 32;
  private static final long MAGIC = 0x45434152_54505254L;
  private static final int VERSION = 1;

  private final Path path;
  private final FileChannel channel;
  private final Head head;
  private final SortedMap<Long, SortedMap<Long, Entry>> entries = new TreeMap<>();
  private long wholeBytes = HEADER;

  /** Whose trace it is; the seed is that of the run's draws. */
  record Head(int layer, int rank, int experts, long seed) {
    ByteBuffer encode() {
      ByteBuffer buffer = ByteBuffer.allocate(HEADER).order(ByteOrder.LITTLE_ENDIAN);
      buffer.putLong(MAGIC).putInt(VERSION).putInt(layer).putInt(rank).putInt(experts);
      return buffer.putLong(seed).flip();
    }
  }

  private record Entry(long position, TraceRecord.Header header) {}

  private TraceFile(Path path, FileChannel channel, Head head) {
    this.path = path;
    this.channel = channel;
    this.head = head;
  }

  /** The file of a rank and layer in the folder of a trace. */
  static Path path(Path folder, int rank, int layer) {
    return folder.resolve("rank-%d-layer-%d%s".formatted(rank, layer, SUFFIX));
  }

  /**
   * Opens a file and finds its records, up to the first that is not whole.
   *
   * @throws UserException if it cannot be read or is none of ours
   */
  public static TraceFile open(Path path) {
    try {
      FileChannel channel = FileChannel.open(path, StandardOpenOption.READ);
      try {
        TraceFile file = new TraceFile(path, channel, head(path, channel));
        file.index();
        return file;
      } catch (IOException | RuntimeException e) {
        channel.close();
        throw e;
      }
    } catch (IOException e) {
      throw new UserException(path + " cannot be read: " + e, "make it readable", e);
    }
  }

  private static Head head(Path path, FileChannel channel) throws IOException {
    ByteBuffer buffer = read(channel, 0, HEADER);
    if (buffer.limit() < HEADER || buffer.getLong(0) != MAGIC || buffer.getInt(8) != VERSION) {
      throw new UserException(
          path + " is no trace (expected: a file that gate.trace = true wrote)",
          "train again with gate.trace=true, or remove the file");
    }
    return new Head(buffer.getInt(12), buffer.getInt(16), buffer.getInt(20), buffer.getLong(24));
  }

  private void index() throws IOException {
    long size = channel.size();
    while (wholeBytes < size) {
      TraceRecord.Header header =
          TraceRecord.Header.of(read(channel, wholeBytes, TraceRecord.HEADER));
      if (header == null
          || header.experts() != head.experts
          || wholeBytes + header.bytes() > size) {
        return;
      }
      entries
          .computeIfAbsent(header.step(), step -> new TreeMap<>())
          .put(header.firstToken(), new Entry(wholeBytes, header));
      wholeBytes += header.bytes();
    }
  }

  /** Bytes up to the first record that is not whole. */
  long wholeBytes() {
    return wholeBytes;
  }

  /**
   * Checks that every record is whole.
   *
   * @throws UserException naming the place, if one is not
   */
  public void checkWhole() {
    try {
      if (channel.size() > wholeBytes) {
        throw torn(wholeBytes);
      }
    } catch (IOException e) {
      throw new UserException(path + " cannot be read: " + e, "make it readable", e);
    }
  }

  private UserException torn(long at) {
    String before = entries.isEmpty() ? "its begin" : "step " + entries.lastKey();
    return new UserException(
        "%s: torn at byte %d, after %s (expected: whole records)".formatted(path, at, before),
        "truncate -s %d %s keeps what is whole, or train again with gate.trace=true"
            .formatted(at, path));
  }

  /** The layer. */
  public int layer() {
    return head.layer;
  }

  /** The rank. */
  public int rank() {
    return head.rank;
  }

  /** Experts of the layer. */
  public int experts() {
    return head.experts;
  }

  /** The seed of the run. */
  public long seed() {
    return head.seed;
  }

  /** The steps that there is something of, in order. */
  public List<Long> steps() {
    return List.copyOf(entries.keySet());
  }

  /** First tokens of the micro-batches of a step, in order. */
  public List<Long> firstTokens(long step) {
    return entries.containsKey(step) ? new ArrayList<>(entries.get(step).keySet()) : List.of();
  }

  /** Number of tokens of a micro-batch. */
  public int tokens(long step, long firstToken) {
    return entries.get(step).get(firstToken).header.tokens();
  }

  /**
   * Reads a record.
   *
   * @throws UserException if it is damaged
   */
  public TraceRecord read(long step, long firstToken) {
    Entry entry = entries.get(step).get(firstToken);
    try {
      int bytes = (int) entry.header.bytes();
      ByteBuffer buffer = read(channel, entry.position, bytes);
      TraceRecord record = buffer.limit() < bytes ? null : TraceRecord.decode(buffer);
      if (record == null) {
        throw new UserException(
            "%s: damaged in step %d (expected: the checksum that was written)"
                .formatted(path, step),
            "train again with gate.trace=true");
      }
      return record;
    } catch (IOException e) {
      throw new UserException(path + " cannot be read: " + e, "make it readable", e);
    }
  }

  private static ByteBuffer read(FileChannel channel, long position, int bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
    while (buffer.hasRemaining()) {
      int read = channel.read(buffer, position + buffer.position());
      if (read < 0) {
        break;
      }
    }
    return buffer.flip();
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UserException(path + " cannot be closed: " + e, "see the disk", e);
    }
  }
}
