package troupe.coordinator.chaos;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.LongConsumer;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchPlan;
import troupe.core.UserException;
import troupe.core.checkpoint.Checkpoint;
import troupe.core.checkpoint.Checkpoints;

/**
 * The same run in one process, {@code troupe train}, with nothing in its way: up to the step at
 * which the disturbed one was stopped, where it writes a checkpoint.
 */
final class Undisturbed {
  /** Its folder within that of the disturbed run. */
  static final String FOLDER = "undisturbed";

  /** Ends the training when this process ends, however it does; it does not watch its input. */
  private static final String TIED_TO_THIS_PROCESS =
      """
      trap '' INT HUP
      exec 3<&0
      "$0" "$@" </dev/null &
      training=$!
      { read -r word <&3; kill "$training"; } 2>/dev/null &
      watch=$!
      wait "$training"
      kill "$watch"
      """;

  /** No run is so slow that no step comes for so long. */
  private static final Duration PATIENCE = Duration.ofMinutes(3);

  private static final long POLL_MS = 50;

  private final JavaCommand java;
  private final LaunchPlan plan;

  Undisturbed(JavaCommand java, LaunchPlan plan) {
    this.java = java;
    this.plan = plan;
  }

  /**
   * Trains up to a step.
   *
   * @param onStep told how far it is, now and then
   * @return the checkpoint of that step
   * @throws UserException if it ends before, or no step comes any more
   */
  Path trainTo(long step, LongConsumer onStep) throws InterruptedException {
    Path folder = plan.runFolder().resolve(FOLDER);
    Path output = plan.runFolder().resolve(FOLDER + ".log");
    List<String> command = new ArrayList<>(List.of("/bin/sh", "-c", TIED_TO_THIS_PROCESS));
    command.addAll(java.words(arguments(step, folder)));
    Process process = start(command, output);
    try {
      return await(process, step, folder, output, onStep);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } finally {
      closeInput(process);
      process.waitFor();
    }
  }

  private List<String> arguments(long step, Path folder) {
    List<String> arguments = new ArrayList<>(List.of("train", plan.config().toString()));
    arguments.addAll(plan.overrides());
    arguments.addAll(
        List.of(
            "run.resume=false",
            "run.dir=" + folder,
            // All cores: nobody else needs them, and results do not depend on it.
            "cluster.threads=0",
            "checkpoint.every=" + step,
            // A small model is many times as far before it hears that it may stop.
            "checkpoint.keep=1000",
            "faults.expert_throws=[]",
            "evaluate.every=0",
            "generate.prompts=[]"));
    return arguments;
  }

  private static Path await(
      Process process, long step, Path folder, Path output, LongConsumer onStep)
      throws IOException, InterruptedException {
    RunWatch watch = new RunWatch(folder);
    long newestNs = System.nanoTime();
    while (true) {
      boolean alive = process.isAlive();
      Optional<Path> checkpoint = checkpoint(folder, step);
      if (checkpoint.isPresent()) {
        return checkpoint.get();
      }
      long now = System.nanoTime();
      if (!watch.poll(now / 1_000_000).isEmpty()) {
        newestNs = now;
        onStep.accept(watch.highestStep());
      }
      if (!alive || now - newestNs > PATIENCE.toNanos()) {
        throw new UserException(
            "undisturbed run: %s at step %d (expected: a checkpoint of step %d)"
                .formatted(alive ? "no step any more" : "ended", watch.highestStep(), step),
            "see " + output);
      }
      TimeUnit.MILLISECONDS.sleep(POLL_MS);
    }
  }

  private static Optional<Path> checkpoint(Path folder, long step) throws IOException {
    for (Path path : Checkpoints.list(folder.resolve("checkpoints")).reversed()) {
      if (Checkpoint.open(path).manifest().step() == step) {
        return Optional.of(path);
      }
    }
    return Optional.empty();
  }

  private static Process start(List<String> command, Path output) {
    try {
      return new ProcessBuilder(command)
          .redirectErrorStream(true)
          .redirectOutput(output.toFile())
          .start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void closeInput(Process process) {
    try {
      process.getOutputStream().close();
    } catch (IOException e) {
      // Gone already.
    }
  }
}
