package troupe.coordinator.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.coordinator.files.LineLog;
import troupe.core.UserException;

/**
 * The results of all trainings of an ablation, one line each as they end. A line that a crash cut
 * is dropped, so its training is repeated.
 */
final class ResultsFile implements AutoCloseable {
  static final String FILE_NAME = "results.jsonl";

  private static final Logger LOG = LoggerFactory.getLogger(ResultsFile.class);

  private final Map<String, TrialResult> results = new LinkedHashMap<>();
  private final LineLog lines;

  private ResultsFile(LineLog lines) {
    this.lines = lines;
  }

  /**
   * Reads what is there and goes on behind it.
   *
   * @throws UserException if the file can be neither read nor written
   */
  static ResultsFile open(Path folder) {
    Path file = folder.resolve(FILE_NAME);
    try {
      Map<String, TrialResult> known = new LinkedHashMap<>();
      if (Files.exists(file)) {
        LineLog.read(
            file,
            line -> TrialResult.parse(line).ifPresent(found -> known.put(found.hash(), found)));
      }
      ResultsFile results =
          new ResultsFile(
              LineLog.takeOver(file, line -> TrialResult.parse(line).isPresent(), LOG, "results"));
      results.results.putAll(known);
      return results;
    } catch (IOException e) {
      throw new UserException(
          file + " cannot be read and written: " + e, "free space, or set run.dir elsewhere", e);
    }
  }

  synchronized Optional<TrialResult> find(Trial trial) {
    return Optional.ofNullable(results.get(trial.hash()));
  }

  synchronized void add(TrialResult result) {
    results.put(result.hash(), result);
    lines.append(result.toLine());
  }

  synchronized Collection<TrialResult> all() {
    return List.copyOf(results.values());
  }

  @Override
  public void close() {
    lines.close();
  }
}
