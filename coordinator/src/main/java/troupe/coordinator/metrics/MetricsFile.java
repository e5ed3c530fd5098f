package troupe.coordinator.metrics;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import troupe.coordinator.files.LineLog;

/** Reads the metrics of a run. */
public final class MetricsFile {
  private MetricsFile() {}

  /**
   * Reads all records in the order of the file, one at a time.
   *
   * @return how many lines were no record: a crash or a full disk leaves part of a line
   */
  public static long read(Path file, Consumer<MetricsRecord> each) throws IOException {
    AtomicLong unreadable = new AtomicLong();
    LineLog.read(
        file,
        line -> {
          Optional<MetricsRecord> parsed = MetricsJson.parse(line);
          parsed.ifPresent(each);
          if (parsed.isEmpty() && !line.isBlank()) {
            unreadable.incrementAndGet();
          }
        });
    return unreadable.get();
  }
}
