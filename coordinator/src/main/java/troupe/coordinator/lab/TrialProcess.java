package troupe.coordinator.lab;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.ParentWatch;
import troupe.core.UserException;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;

/**
 * Trains in a process of its own, by {@code troupe train}: so trainings side by side share neither
 * threads nor a device's memory pool, and one that dies takes no other along. It ends when this
 * process does, however that ends.
 */
final class TrialProcess implements TrialTrainer, AutoCloseable {
  private static final int MISTAKE = 2;

  private final JavaCommand java;
  private final Set<Process> running = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  TrialProcess(JavaCommand java) {
    this.java = java;
  }

  @Override
  public TrialResult train(Trial trial) throws TrialFailedException, InterruptedException {
    Path folder = trial.folder();
    Path log = folder.resolveSibling(folder.getFileName() + ".log");
    try {
      // What an interrupted one left: its steps are not the result of a whole training.
      delete(folder);
      Files.createDirectories(folder.getParent());
      Path config = folder.resolveSibling(folder.getFileName() + ".conf");
      Files.writeString(config, ResolvedConfig.render(trial.config()));
      long before = System.nanoTime();
      int code = run(config, log.toFile());
      double seconds = (System.nanoTime() - before) / 1e9;
      if (closed) {
        // It did not fail: it was ended.
        throw new InterruptedException();
      }
      if (code != 0) {
        throw failure(trial, code, log);
      }
      TrialResult result = TrialReader.read(trial, seconds, where(trial.config()));
      // Nobody goes on with it, and with many experts it is large.
      delete(folder.resolve("checkpoints"));
      return result;
    } catch (IOException e) {
      throw new TrialFailedException(trial.title() + ": " + e.getMessage(), e);
    }
  }

  private int run(Path config, File log) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(java.words(List.of("train")));
    command.add(config.toString());
    command.add(ParentWatch.OPTION);
    // Its standard input stays open as long as this process lives.
    Process process =
        new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(log).start();
    running.add(process);
    try {
      if (closed) {
        throw new InterruptedException();
      }
      return process.waitFor();
    } finally {
      process.destroyForcibly();
      running.remove(process);
    }
  }

  private TrialFailedException failure(Trial trial, int code, Path log) throws IOException {
    List<String> lines = Files.readAllLines(log);
    String said =
        lines.stream()
            .filter(line -> line.startsWith("error: "))
            .map(line -> line.substring("error: ".length()))
            .findFirst()
            .orElse("exit code " + code);
    if (code == MISTAKE) {
      String hint =
          lines.stream()
              .filter(line -> line.startsWith("HINT: "))
              .map(line -> line.substring("HINT: ".length()))
              .findFirst()
              .orElse("see " + log);
      throw new UserException(trial.title() + ": " + said, hint);
    }
    return new TrialFailedException(trial.title() + ": " + said + "; see " + log, null);
  }

  private static String where(RunConfig config) {
    return "%s, %d of %d cores, %d at once"
        .formatted(
            config.device(),
            config.cluster().threads(),
            Runtime.getRuntime().availableProcessors(),
            config.lab().parallel());
  }

  /** Ends all that run; their results are lost. */
  @Override
  public void close() {
    closed = true;
    running.forEach(Process::destroyForcibly);
  }

  private static void delete(Path folder) throws IOException {
    if (!Files.exists(folder)) {
      return;
    }
    try (Stream<Path> paths = Files.walk(folder)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
