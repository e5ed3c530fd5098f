package troupe.coordinator.chaos;

import java.nio.file.Path;
import java.util.Optional;
import troupe.coordinator.launch.JavaCommand;
import troupe.coordinator.launch.LaunchPlan;
import troupe.coordinator.launch.MergedLog;
import troupe.coordinator.run.TrainedRun;

/** Hashes of checkpoints; the undisturbed run is trained, unless its hash is known. */
final class TrainedHashes implements FinalHashes {
  private static final int NOTES = 10;

  private final JavaCommand java;
  private final LaunchPlan plan;
  private final Optional<String> known;
  private final MergedLog log;
  private long noted;

  TrainedHashes(JavaCommand java, LaunchPlan plan, Optional<String> known, MergedLog log) {
    this.java = java;
    this.plan = plan;
    this.known = known;
    this.log = log;
  }

  @Override
  public Final disturbed(Path runFolder) {
    try (TrainedRun run = TrainedRun.open(runFolder)) {
      return new Final(run.step(), run.hash());
    }
  }

  @Override
  public String undisturbed(long step) throws InterruptedException {
    if (known.isPresent()) {
      return known.get();
    }
    log.note("chaos      training undisturbed, in one process, to step " + step);
    Path checkpoint = new Undisturbed(java, plan).trainTo(step, reached -> note(reached, step));
    try (TrainedRun run = TrainedRun.open(checkpoint)) {
      return run.hash();
    }
  }

  private void note(long reached, long step) {
    if (reached >= noted + step / NOTES) {
      noted = reached;
      log.note("chaos      undisturbed: step %d of %d".formatted(reached, step));
    }
  }
}
