package troupe.coordinator.chaos;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import troupe.coordinator.launch.LaunchPlan;
import troupe.core.UserException;

/** Compares a disturbed run that is over with the undisturbed one. */
final class Judge {
  private final LaunchPlan plan;
  private final long seed;
  private final FinalHashes hashes;

  Judge(LaunchPlan plan, long seed, FinalHashes hashes) {
    this.plan = plan;
    this.seed = seed;
    this.hashes = hashes;
  }

  /**
   * The verdict, which is also written to the run's folder.
   *
   * @param beginMs of the disturbance
   * @param endMs of the disturbance
   */
  ChaosVerdict judge(Onlooker onlooker, Diary diary, long beginMs, long endMs)
      throws InterruptedException, IOException {
    String hash = "";
    String expected = "";
    long steps = 0;
    try {
      FinalHashes.Final end = hashes.disturbed(plan.runFolder());
      hash = end.hash();
      steps = end.step();
      if (steps < onlooker.highestStep()) {
        diary.problem(
            "the last checkpoint is of step %d (expected: %d, the last one committed)"
                .formatted(steps, onlooker.highestStep()));
      }
      expected = hashes.undisturbed(steps);
    } catch (UserException e) {
      diary.problem(e.getMessage());
    }
    List<FaultResult> faults = onlooker.results(beginMs);
    faults.forEach(fault -> checkReplayed(fault, diary));
    ChaosVerdict verdict =
        new ChaosVerdict(
            seed,
            plan.nodes(),
            (endMs - beginMs) / 1e3,
            steps,
            onlooker.trainingShare(beginMs, endMs),
            plan.run().replicate().every(),
            faults,
            hash,
            expected,
            diary.problems());
    Path file = Files.createDirectories(plan.runFolder()).resolve(ChaosVerdict.FILE_NAME);
    Files.writeString(file, verdict.json() + "\n");
    return verdict;
  }

  private void checkReplayed(FaultResult fault, Diary diary) {
    int most = plan.run().replicate().every();
    if (most > 0 && fault.replayed() > most) {
      diary.problem(
          "%s of %s: %d steps replayed (expected: <= replicate.every = %d)"
              .formatted(fault.kind().words(), fault.who(), fault.replayed(), most));
    }
  }
}
