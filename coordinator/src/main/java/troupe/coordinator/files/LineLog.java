package troupe.coordinator.files;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.slf4j.Logger;

/**
 * A file that grows by whole lines, each in a single write, so that whoever follows it sees whole
 * lines. A disk that is full costs lines, never the run; the log says so once a minute.
 *
 * <p>Only the last process that took the file over writes into it: taking over replaces the file by
 * a copy, so what an older process still holds open is no longer what its name stands for. For one
 * thread.
 */
public final class LineLog implements AutoCloseable {
  private static final Duration REPORT_EVERY = Duration.ofMinutes(1);

  private final Path file;
  private final InstantSource clock;
  private final Logger log;
  private final String what;
  private WritableByteChannel channel;
  private Object key;
  private boolean torn;
  private long lost;
  private Instant reportNext = Instant.MIN;

  /**
   * Writes where it is told.
   *
   * @param log says what was lost
   * @param what lines are of, {@code metrics}
   */
  public LineLog(WritableByteChannel channel, InstantSource clock, Logger log, String what) {
    this(null, channel, clock, log, what);
  }

  private LineLog(
      Path file, WritableByteChannel channel, InstantSource clock, Logger log, String what) {
    this.file = file;
    this.channel = channel;
    this.clock = clock;
    this.log = log;
    this.what = what;
  }

  /**
   * Begins a file; what it held is gone.
   *
   * @throws IOException if it cannot be created
   */
  public static LineLog create(Path file, Logger log, String what) throws IOException {
    FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.TRUNCATE_EXISTING);
    LineLog lines = new LineLog(file, channel, InstantSource.system(), log, what);
    lines.key = key(file);
    return lines;
  }

  /**
   * Goes on with a file, alone from now on. A missing one is an empty one.
   *
   * @param kept which of its lines stay; those that a crash has cut should not
   * @throws IOException if that fails; the file is then as it was
   */
  public static LineLog takeOver(Path file, Predicate<String> kept, Logger log, String what)
      throws IOException {
    LineLog lines = new LineLog(file, null, InstantSource.system(), log, what);
    lines.replace(kept);
    return lines;
  }

  /** Loses all lines, and says why; for those who can go on without. */
  public static LineLog nowhere(IOException why, InstantSource clock, Logger log, String what) {
    return new LineLog(new Nowhere(why), clock, log, what);
  }

  /**
   * Calls for each line, in order. What is not UTF-8 is replaced rather than failed on: such a line
   * is none of ours either way.
   */
  public static void read(Path file, Consumer<String> each) throws IOException {
    try (BufferedReader lines = reader(file)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        each.accept(line);
      }
    }
  }

  /** Appends a line. If that fails it is lost. */
  public void append(String line) {
    // After a line that was cut short the next one must not continue it.
    ByteBuffer bytes =
        ByteBuffer.wrap(((torn ? "\n" : "") + line + "\n").getBytes(StandardCharsets.UTF_8));
    try {
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      torn = false;
    } catch (IOException e) {
      torn |= bytes.position() > 0;
      lost++;
      report(e);
    }
  }

  /**
   * Drops lines. If that fails the file is as it was, which the log says. Someone who has been
   * replaced drops nothing: the file is another's.
   */
  public void keep(Predicate<String> kept) {
    if (file == null) {
      return; // Nothing was written either.
    }
    try {
      if (key == null || key.equals(key(file))) {
        replace(kept);
      } else {
        log.warn("{} not cut file={} cause=another process goes on with it", what, file);
      }
    } catch (IOException e) {
      log.error(
          "{} not cut file={} cause={}\nHINT: free disk space; later lines stand twice in it",
          what,
          file,
          e.toString());
    }
  }

  /** How many lines could not be written. */
  public long lost() {
    return lost;
  }

  /** Closes the file. */
  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      report(e);
    }
  }

  private void replace(Predicate<String> kept) throws IOException {
    Path temporary = AtomicFile.temporary(file);
    // Never into what someone else may hold open.
    Files.deleteIfExists(temporary);
    FileChannel copy =
        FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.APPEND);
    Object copyKey;
    try {
      copy(kept, copy);
      copy.force(true);
      copyKey = key(temporary);
      Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException | RuntimeException e) {
      copy.close();
      throw e;
    }
    if (channel != null) {
      close();
    }
    channel = copy;
    key = copyKey;
    torn = false;
  }

  private void copy(Predicate<String> kept, FileChannel to) throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    Writer writer = Channels.newWriter(to, StandardCharsets.UTF_8);
    try (BufferedReader lines = reader(file)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (kept.test(line)) {
          writer.write(line);
          writer.write('\n');
        }
      }
    }
    writer.flush();
  }

  private static BufferedReader reader(Path file) throws IOException {
    return new BufferedReader(
        new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8));
  }

  /** What tells a file from another one of the same name, or {@code null}. */
  private static Object key(Path file) throws IOException {
    return Files.readAttributes(file, BasicFileAttributes.class).fileKey();
  }

  private void report(IOException cause) {
    Instant now = clock.instant();
    if (now.isBefore(reportNext)) {
      return;
    }
    reportNext = now.plus(REPORT_EVERY);
    log.error(
        "{} not written lost={} cause={}\n"
            + "HINT: free disk space; training goes on without them",
        what,
        lost,
        cause.toString());
  }

  /** A disk that takes nothing. */
  private record Nowhere(IOException why) implements WritableByteChannel {
    @Override
    public int write(ByteBuffer bytes) throws IOException {
      throw why;
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {}
  }
}
