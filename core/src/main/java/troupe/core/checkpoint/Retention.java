package troupe.core.checkpoint;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Decides which step directories go. A directory that cannot be deleted is a line in the log, never
 * a failed checkpoint.
 */
record Retention(Path checkpoints) {
  private static final Logger LOG = LoggerFactory.getLogger(Retention.class);

  /**
   * Deletes what dead processes were writing, and puts back what they had moved aside without
   * replacing it.
   */
  void removeStale() {
    try {
      for (StepDirectory directory : StepDirectory.list(checkpoints)) {
        if (directory.isStale()) {
          settle(directory);
        }
      }
    } catch (IOException e) {
      LOG.warn("checkpoints not cleaned path={} cause={}", checkpoints, e.toString());
    }
  }

  /**
   * Deletes all but the newest checkpoints up to a step that has just been written. Later ones
   * stay: the run went back before them, so they are no reason to drop what it stands on now.
   */
  void keepNewest(int keep, long writtenStep) {
    try {
      List<StepDirectory> past =
          StepDirectory.published(checkpoints).stream()
              .filter(directory -> directory.step() <= writtenStep)
              .toList();
      for (StepDirectory directory : past.subList(0, Math.max(0, past.size() - keep))) {
        directory.delete();
        LOG.debug("checkpoint deleted step={}", directory.step());
      }
    } catch (IOException e) {
      LOG.warn("old checkpoints not deleted path={} cause={}", checkpoints, e.toString());
    }
  }

  private void settle(StepDirectory directory) throws IOException {
    Path published = StepDirectory.published(checkpoints, directory.step());
    if (directory.state() == StepDirectory.State.MOVED_ASIDE && Files.notExists(published)) {
      Files.move(directory.path(), published, StandardCopyOption.ATOMIC_MOVE);
      LOG.info("checkpoint put back step={}", directory.step());
    } else {
      StepDirectory.deleteTree(directory.path());
      LOG.info("half-written checkpoint deleted path={}", directory.path());
    }
  }
}
