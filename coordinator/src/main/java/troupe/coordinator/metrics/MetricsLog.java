package troupe.coordinator.metrics;

import java.io.IOException;
import java.nio.channels.WritableByteChannel;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.function.Predicate;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.files.LineLog;

/**
 * Appends one line a record. A disk that is full costs lines, never the run. For one thread, and
 * for the last process that created or resumed it.
 */
public final class MetricsLog implements AutoCloseable {
  /** The name of the file in the folder of a run. */
  public static final String FILE_NAME = "metrics.jsonl";

  private static final Logger LOG = LoggerFactory.getLogger(MetricsLog.class);
  private static final String WHAT = "metrics";

  private final LineLog lines;

  private MetricsLog(LineLog lines) {
    this.lines = lines;
  }

  MetricsLog(WritableByteChannel channel, InstantSource clock) {
    this(new LineLog(channel, clock, LOG, WHAT));
  }

  /**
   * Begins the metrics of a new run; what the file held is gone.
   *
   * @throws IOException if it cannot be created
   */
  public static MetricsLog create(Path file) throws IOException {
    return new MetricsLog(LineLog.create(file, LOG, WHAT));
  }

  /**
   * Goes on after a step, having dropped the records of later ones and what is left of a torn line.
   * A process that wrote it before writes into it no more. A missing file is an empty one.
   *
   * @throws IOException if the file cannot be cut or opened; it is then as it was
   */
  public static MetricsLog resume(Path file, long lastStep) throws IOException {
    return new MetricsLog(LineLog.takeOver(file, isUpTo(lastStep), LOG, WHAT));
  }

  /** Appends a record. If that fails the record is lost, which the log says once a minute. */
  public void append(MetricsRecord metrics) {
    lines.append(MetricsJson.toLine(metrics));
  }

  /** Drops the records of later steps, for they are done again. If that fails the log says so. */
  public void rollBack(long lastStep) {
    lines.keep(isUpTo(lastStep));
  }

  /** How many records could not be written. */
  public long lost() {
    return lines.lost();
  }

  /** Closes the file. */
  @Override
  public void close() {
    lines.close();
  }

  private static Predicate<String> isUpTo(long lastStep) {
    return line -> MetricsJson.parse(line).filter(record -> record.step() <= lastStep).isPresent();
  }
}
