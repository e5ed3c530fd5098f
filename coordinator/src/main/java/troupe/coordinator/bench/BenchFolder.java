package troupe.coordinator.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;
import troupe.core.UserException;

/** Where the runs of a benchmark are: in a folder of the user, who keeps them, or a passing one. */
final class BenchFolder implements AutoCloseable {
  private final Path path;
  private final boolean passing;
  private boolean kept;

  private BenchFolder(Path path, boolean passing) {
    this.path = path;
    this.passing = passing;
  }

  /** A temporary folder, which goes with what is in it. */
  static BenchFolder passing() throws IOException {
    return new BenchFolder(Files.createTempDirectory("troupe-bench-"), true);
  }

  /** A folder of the user, which stays. */
  static BenchFolder of(Path path) {
    return new BenchFolder(path, false);
  }

  Path path() {
    return path;
  }

  /**
   * The folder of a run that is yet to begin.
   *
   * @param pair counted from 1
   * @throws UserException if it is there
   */
  Path run(int pair, Spread spread) {
    Path run = path.resolve("pair-" + pair + "-" + spread.word());
    if (Files.exists(run)) {
      throw new UserException(
          "run.dir: " + run + " is there already (expected: a new folder)",
          "run.dir=ANOTHER, or leave it out");
    }
    return run;
  }

  /** A run is measured: a passing one is deleted, for its checkpoint is large. */
  void measured(Path run) throws IOException {
    if (passing) {
      deleteTree(run);
    }
  }

  /** Something went wrong that one can only see in here. */
  void keep() {
    kept = true;
  }

  @Override
  public void close() throws IOException {
    if (passing && !kept) {
      deleteTree(path);
    }
  }

  private static void deleteTree(Path folder) throws IOException {
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path each : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(each);
      }
    } catch (UncheckedIOException e) {
      throw e.getCause();
    }
  }
}
