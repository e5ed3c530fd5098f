package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import troupe.core.UserException;

/** Finds the checkpoint to go on from. */
public final class Checkpoints {
  private static final Logger LOG = LoggerFactory.getLogger(Checkpoints.class);

  private Checkpoints() {}

  /**
   * A whole checkpoint, and why newer ones were passed over.
   *
   * @param checkpoint the newest that is whole
   * @param skipped one line for each newer one, naming the file and what is wrong with it; newest
   *     first
   */
  public record Newest(Checkpoint checkpoint, List<String> skipped) {
    /** Copies the list. */
    public Newest {
      skipped = List.copyOf(skipped);
    }
  }

  /**
   * The directories of all checkpoints, whole or not, oldest step first. One that is still being
   * written is not among them.
   *
   * @param checkpoints the folder that holds them; it may be missing
   * @throws IOException if the folder cannot be read
   */
  public static List<Path> list(Path checkpoints) throws IOException {
    return StepDirectory.published(checkpoints).stream().map(StepDirectory::path).toList();
  }

  /**
   * The newest checkpoint all of whose files have the content that its manifest promises. Those
   * that do not are skipped with a line in the result and the log.
   *
   * @param checkpoints the folder that holds them; it may be missing
   * @return empty if no checkpoint was ever finished
   * @throws UserException if there are checkpoints and none is whole: going on from nothing would
   *     throw the run away
   */
  public static Optional<Newest> newestWhole(Path checkpoints) {
    List<StepDirectory> candidates;
    try {
      candidates = StepDirectory.published(checkpoints);
    } catch (IOException e) {
      throw new UserException(
          "checkpoints: " + checkpoints + " cannot be read: " + e,
          "make it readable for this user",
          e);
    }
    List<String> skipped = new ArrayList<>();
    for (StepDirectory candidate : candidates.reversed()) {
      try {
        Checkpoint checkpoint = Checkpoint.open(candidate.path());
        if (checkpoint.manifest().step() != candidate.step()) {
          throw new CorruptFileException(
              candidate.path().resolve(Manifest.FILE_NAME),
              "step: " + checkpoint.manifest().step() + " (expected: " + candidate.step() + ")");
        }
        return Optional.of(new Newest(checkpoint, skipped));
      } catch (IOException e) {
        String reason =
            e instanceof CorruptFileException ? e.getMessage() : candidate.path() + ": " + e;
        String line = "checkpoint skipped step=" + candidate.step() + " cause=" + reason;
        LOG.info(line);
        skipped.add(line);
      }
    }
    if (candidates.isEmpty()) {
      return Optional.empty();
    }
    throw new UserException(
        "checkpoints: none of "
            + candidates.size()
            + " in "
            + checkpoints
            + " is whole (expected: one)\n"
            + String.join("\n", skipped),
        "restore the named files from a copy, or start afresh with another run.dir");
  }
}
