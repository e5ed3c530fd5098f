package troupe.transport;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.VarHandle;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/**
 * What has become of the batches that one process lent to another, in memory that both see: the
 * borrower writes, the lender looks when it likes. It is no message, so it cannot be lost.
 *
 * <p>An entry is the number of a loan, from 1, and one bit; loan {@code n} has entry {@code n mod}
 * {@link #CAPACITY}. The lender makes the file in the folder of the borrower's driver, which goes
 * when the borrower does.
 */
final class Returns implements AutoCloseable {
  /** Loans that may be open at a time. */
  static final int CAPACITY = 4096;

  private static final int BYTES = CAPACITY * Long.BYTES;
  private static final VarHandle ENTRY = ValueLayout.JAVA_LONG.varHandle();

  /** What the borrower says. */
  enum Answer {
    /** Nothing yet. */
    NONE,
    /** It needs the rows no more. */
    DONE,
    /** It cannot reach them. */
    OUT_OF_REACH
  }

  private final Arena arena = Arena.ofShared();
  private final MemorySegment entries;

  private Returns(Path file, OpenOption... options) throws IOException {
    try (FileChannel channel = FileChannel.open(file, options)) {
      if (channel.size() < BYTES) {
        // Memory that is mapped and cannot be had would kill the JVM.
        channel.write(ByteBuffer.allocate(BYTES), 0);
      }
      entries = channel.map(FileChannel.MapMode.READ_WRITE, 0, BYTES, arena);
    } catch (IOException | RuntimeException e) {
      arena.close();
      throw e;
    }
  }

  /** Where the returns to a lender are. */
  static Path file(Path folder, long lender) {
    return folder.resolve("returns-" + Long.toHexString(lender));
  }

  /** Makes the file; for the lender. */
  static Returns create(Path file) throws IOException {
    return new Returns(
        file, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
  }

  /** Opens what the lender has made; for the borrower. */
  static Returns open(Path file) throws IOException {
    return new Returns(file, StandardOpenOption.READ, StandardOpenOption.WRITE);
  }

  /** Says what has become of a loan; all that was done with its rows comes before. */
  void put(long number, Answer answer) {
    ENTRY.setRelease(entries, offset(number), number << 1 | (answer == Answer.DONE ? 0 : 1));
  }

  /** What was said of a loan. */
  Answer of(long number) {
    long entry = (long) ENTRY.getAcquire(entries, offset(number));
    if (entry >> 1 != number) {
      return Answer.NONE;
    }
    return (entry & 1) == 0 ? Answer.DONE : Answer.OUT_OF_REACH;
  }

  private static long offset(long number) {
    return number % CAPACITY * Long.BYTES;
  }

  @Override
  public void close() {
    arena.close();
  }
}
