package troupe.coordinator.metrics;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Writer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.function.Consumer;

/** Reads the metrics of a run, and cuts them when the run goes back. */
final class MetricsFile {
  private MetricsFile() {}

  /**
   * Reads all records in the order of the file, one at a time.
   *
   * @return how many lines were no record: a crash or a full disk leaves part of a line
   */
  static long read(Path file, Consumer<MetricsRecord> each) throws IOException {
    long unreadable = 0;
    try (BufferedReader lines = reader(file)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        Optional<MetricsRecord> parsed = MetricsJson.parse(line);
        parsed.ifPresent(each);
        unreadable += parsed.isEmpty() && !line.isBlank() ? 1 : 0;
      }
    }
    return unreadable;
  }

  /** Keeps the records up to a step. The file is either as before or cut, whatever happens. */
  static void cut(Path file, long lastStep) throws IOException {
    Path kept = file.resolveSibling(file.getFileName() + ".tmp");
    try (BufferedReader lines = reader(file);
        Writer writer = Files.newBufferedWriter(kept)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        if (MetricsJson.parse(line).filter(metrics -> metrics.step() <= lastStep).isPresent()) {
          writer.write(line);
          writer.write('\n');
        }
      }
    }
    try (FileChannel channel = FileChannel.open(kept, StandardOpenOption.WRITE)) {
      channel.force(true);
    }
    Files.move(kept, file, StandardCopyOption.ATOMIC_MOVE);
  }

  /** Replaces what is not UTF-8 rather than failing on it: such a line is no record either way. */
  private static BufferedReader reader(Path file) throws IOException {
    return new BufferedReader(
        new InputStreamReader(Files.newInputStream(file), StandardCharsets.UTF_8));
  }
}
