package troupe.coordinator.run;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import troupe.coordinator.host.Model;
import troupe.coordinator.metrics.MetricsLog;
import troupe.core.UserException;
import troupe.core.checkpoint.Checkpoint;
import troupe.core.checkpoint.Checkpoints;
import troupe.core.config.ConfigLoader;
import troupe.core.config.ResolvedConfig;
import troupe.core.config.RunConfig;

/** The folder of a run: resolved config, metrics, log, checkpoints, report. */
public record RunFolder(Path path) {
  private static final String CONFIG = "config.conf";
  private static final String CHECKPOINTS = "checkpoints";

  /**
   * Begins a run in its folder, or goes on with one. The caller holds the run's lock.
   *
   * @throws UserException if the run exists and is not to be resumed, does not exist and is, or was
   *     begun with another config
   */
  public static RunFolder enter(RunConfig config) {
    RunFolder folder = new RunFolder(Path.of(config.run().dir()));
    Path file = folder.path.resolve(CONFIG);
    // With neither it never began: its text was missing, say, and the command is repeated.
    boolean begun =
        Files.exists(folder.file(MetricsLog.FILE_NAME)) || Files.exists(folder.checkpoints());
    if (begun && !config.run().resume()) {
      throw new UserException(
          "run.dir: " + folder.path + " already holds a run (expected: a new folder)",
          "resume=true goes on with it; run.dir=runs/ANOTHER begins a new one");
    }
    if (!Files.exists(file) && config.run().resume()) {
      throw new UserException(
          "run.dir: " + folder.path + " holds no run (expected: one to resume)",
          "leave resume=true out to begin it");
    }
    if (config.run().resume()) {
      folder.checkSame(config);
    } else {
      try {
        Files.writeString(file, ResolvedConfig.render(config));
      } catch (IOException e) {
        throw new UserException(
            file + " cannot be written: " + e, "free space, or set run.dir to another disk", e);
      }
    }
    return folder;
  }

  /** The folder of a run that other nodes have begun; made if it is not on a disk they share. */
  public static RunFolder joined(RunConfig config) {
    RunFolder folder = new RunFolder(Path.of(config.run().dir()));
    try {
      Files.createDirectories(folder.path);
    } catch (IOException e) {
      throw new UserException(
          folder.path + " cannot be made: " + e, "set run.dir to a folder that you may write", e);
    }
    return folder;
  }

  /**
   * The folder of an existing run.
   *
   * @throws UserException if {@code path} is not one
   */
  public static RunFolder existing(Path path) {
    if (!Files.isRegularFile(path.resolve(CONFIG))) {
      throw new UserException(
          path + " is not the folder of a run (expected: one with a " + CONFIG + ")",
          "name a folder such as runs/quickstart");
    }
    return new RunFolder(path);
  }

  private void checkSame(RunConfig config) {
    List<ResolvedConfig.Difference> differences = ResolvedConfig.differences(config, config());
    if (!differences.isEmpty()) {
      throw new UserException(
          differences.stream().map(Object::toString).collect(Collectors.joining("\n")),
          "a run is resumed with the config it began with; run.dir=runs/ANOTHER begins a new one");
    }
  }

  /** The config that the run began with. */
  public RunConfig config() {
    Path file = path.resolve(CONFIG);
    try {
      return ConfigLoader.parse(
          Files.readString(file),
          List.of(
              "run.dir=\"" + path.toString().replace("\\", "\\\\").replace("\"", "\\\"") + "\""));
    } catch (IOException e) {
      throw new UserException(file + " cannot be read: " + e, "make it readable", e);
    }
  }

  /** The name of the run. */
  public String name() {
    return path.toAbsolutePath().normalize().getFileName().toString();
  }

  /** Where checkpoints are. */
  public Path checkpoints() {
    return path.resolve(CHECKPOINTS);
  }

  /** A file of the run. */
  public Path file(String name) {
    return path.resolve(name);
  }

  /**
   * The newest whole checkpoint, or empty if none was ever finished.
   *
   * @throws UserException if there are some and none is whole
   */
  public Optional<Checkpoints.Newest> newestCheckpoint() {
    return Checkpoints.newestWhole(checkpoints());
  }

  /**
   * A model as a checkpoint of this run has it.
   *
   * @throws UserException if the checkpoint is not of this run's model
   */
  public static void load(Checkpoint checkpoint, Model model) {
    try {
      Shards.load(checkpoint, model);
    } catch (IOException | IllegalArgumentException e) {
      throw new UserException(
          checkpoint.directory() + " is not a checkpoint of this run: " + e.getMessage(),
          "see that config.conf of the run is the one it was trained with",
          e);
    }
  }
}
