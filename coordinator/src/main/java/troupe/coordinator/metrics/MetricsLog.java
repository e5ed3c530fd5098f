package troupe.coordinator.metrics;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Appends one line a record, each in a single write, so that whoever follows the file sees whole
 * lines. A disk that is full costs lines, never the run. For one thread.
 */
public final class MetricsLog implements AutoCloseable {
  /** The name of the file in the folder of a run. */
  public static final String FILE_NAME = "metrics.jsonl";

  private static final Logger LOG = LoggerFactory.getLogger(MetricsLog.class);
  private static final Duration REPORT_EVERY = Duration.ofMinutes(1);

  private final WritableByteChannel channel;
  private final InstantSource clock;
  private boolean torn;
  private long lost;
  private Instant reportNext = Instant.MIN;

  MetricsLog(WritableByteChannel channel, InstantSource clock) {
    this.channel = channel;
    this.clock = clock;
  }

  /**
   * Begins the metrics of a new run; what the file held is gone.
   *
   * @throws IOException if it cannot be created
   */
  public static MetricsLog create(Path file) throws IOException {
    FileChannel channel =
        FileChannel.open(
            file,
            StandardOpenOption.CREATE,
            StandardOpenOption.WRITE,
            StandardOpenOption.TRUNCATE_EXISTING);
    return new MetricsLog(channel, InstantSource.system());
  }

  /**
   * Goes on after a step, having dropped the records of later ones and what is left of a torn line.
   * A missing file is an empty one.
   *
   * @throws IOException if the file cannot be cut or opened; it is then as it was
   */
  public static MetricsLog resume(Path file, long lastStep) throws IOException {
    if (Files.exists(file)) {
      MetricsFile.cut(file, lastStep);
    }
    FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    return new MetricsLog(channel, InstantSource.system());
  }

  /** Appends a record. If that fails the record is lost, which the log says once a minute. */
  public void append(MetricsRecord metrics) {
    // After a line that was cut short the next one must not continue it.
    String line = (torn ? "\n" : "") + MetricsJson.toLine(metrics) + "\n";
    ByteBuffer bytes = ByteBuffer.wrap(line.getBytes(StandardCharsets.UTF_8));
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

  /** How many records could not be written. */
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

  private void report(IOException cause) {
    Instant now = clock.instant();
    if (now.isBefore(reportNext)) {
      return;
    }
    reportNext = now.plus(REPORT_EVERY);
    LOG.error(
        "metrics not written lost={} cause={}\n"
            + "HINT: free disk space; training goes on without them",
        lost,
        cause.toString());
  }
}
