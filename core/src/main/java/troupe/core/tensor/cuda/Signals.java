package troupe.core.tensor.cuda;

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
import java.util.concurrent.ThreadLocalRandom;
import java.util.regex.Pattern;
import troupe.core.tensor.cuda.driver.Driver;

/**
 * Words in memory of the host by which the GPU of one process tells GPUs of others what is done, so
 * that their streams wait for it and no thread does. They are in a file that all of them map. An
 * event of CUDA would do as well while everybody lives. But a stream that waits for one of a
 * process that is killed waits for ever, while a word can be {@linkplain #forge set} by whoever
 * waits.
 *
 * <p>Signals have numbers, from 1; signal {@code n} has word {@code n mod} {@link #CAPACITY}, and
 * is given once that is no less than {@code n}. So a word that is used again takes nothing back.
 */
final class Signals implements AutoCloseable {
  /** As many as a thread lends to a node at most; signals that share a word do no harm. */
  static final int CAPACITY = 4096;

  private static final int BYTES = CAPACITY * Integer.BYTES;
  private static final VarHandle WORD = ValueLayout.JAVA_INT.varHandle();
  private static final String PREFIX = "signals-";

  /** Files have such names, and a process opens no others: others say which. */
  private static final Pattern NAME = Pattern.compile(PREFIX + "[0-9a-f]{1,16}");

  private final Gpu gpu;
  private final Driver driver;
  private final Path file;

  /** Unmapped when nobody has it any more: it may be forged for longer than it is waited for. */
  private final MemorySegment words;

  private final long address;

  private Signals(Gpu gpu, Path file, OpenOption... options) throws IOException {
    this.gpu = gpu;
    this.driver = gpu.driver();
    this.file = file;
    try (FileChannel channel = FileChannel.open(file, options)) {
      if (channel.size() < BYTES) {
        // Memory that is mapped and cannot be had would kill the JVM.
        channel.write(ByteBuffer.allocate(BYTES), 0);
      }
      words = channel.map(FileChannel.MapMode.READ_WRITE, 0, BYTES, Arena.ofAuto());
    }
    gpu.enter();
    address = driver.register(words);
  }

  /**
   * Makes some for this process to give.
   *
   * @param folder that other processes of this machine see
   * @throws troupe.core.tensor.cuda.driver.CudaException if this GPU can do no such thing
   */
  static Signals create(Gpu gpu, Path folder) throws IOException {
    String name = PREFIX + Long.toHexString(ThreadLocalRandom.current().nextLong());
    return new Signals(
        gpu,
        folder.resolve(name),
        StandardOpenOption.CREATE_NEW,
        StandardOpenOption.READ,
        StandardOpenOption.WRITE);
  }

  /**
   * Opens those of another process.
   *
   * @throws IllegalArgumentException if the file has none of their names
   */
  static Signals open(Gpu gpu, Path file) throws IOException {
    if (!NAME.matcher(file.getFileName().toString()).matches()) {
      throw new IllegalArgumentException("signals: " + file + " (expected: " + NAME + ")");
    }
    return new Signals(gpu, file, StandardOpenOption.READ, StandardOpenOption.WRITE);
  }

  /** Where they are. */
  Path file() {
    return file;
  }

  /** Has a stream give a signal once what is in it is done. */
  void give(long stream, int number) {
    gpu.enter();
    driver.writeWord(stream, address + offset(number), number);
  }

  /** Has what comes next in a stream wait for a signal. */
  void await(long stream, int number) {
    gpu.enter();
    driver.waitForWord(stream, address + offset(number), number);
  }

  /** Whether a signal was given, or forged. Asks no driver. */
  boolean isGiven(int number) {
    return (int) WORD.getAcquire(words, offset(number)) - number >= 0;
  }

  /**
   * Gives a signal in place of a process that will not: what waits goes on. Waits for nothing, and
   * changes nothing if the signal was given, or its word used again.
   */
  void forge(int number) {
    int before;
    do {
      before = (int) WORD.getAcquire(words, offset(number));
    } while (before - number < 0 && !WORD.compareAndSet(words, offset(number), before, number));
  }

  private static long offset(int number) {
    return (long) Math.floorMod(number, CAPACITY) * Integer.BYTES;
  }

  /** No stream may give or wait any more. */
  @Override
  public void close() {
    gpu.enter();
    driver.unregister(words);
  }
}
