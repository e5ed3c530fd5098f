package troupe.coordinator.cluster;

import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import troupe.core.config.ResolvedConfig;

/** Decides whether a newcomer belongs to the run, and says why not. */
final class Admission {
  /** Clocks further apart make logs and deadlines of different nodes misleading. */
  static final Duration MAX_CLOCK_DIFFERENCE = Duration.ofSeconds(30);

  /** More than that nobody reads: the wrong file was named. */
  private static final int MAX_DIFFERENCES = 10;

  private Admission() {}

  /** Why somebody has to stay outside. */
  record Refusal(String message, String hint) {}

  /**
   * The first thing that is wrong with a newcomer, or empty.
   *
   * @param ours of a node of the run
   * @param theirs of the newcomer
   * @param clockAheadMs how far the newcomer's clock is ahead of ours
   */
  static Optional<Refusal> check(Identity ours, Identity theirs, long clockAheadMs) {
    if (!theirs.version().equals(ours.version())) {
      return refuse(
          "Troupe: version " + theirs.version() + " (expected: " + ours.version() + ")",
          "run the same version of Troupe on every node");
    }
    if (theirs.wire() != ours.wire()) {
      return refuse(
          "Troupe: control messages of version "
              + theirs.wire()
              + " (expected: "
              + ours.wire()
              + ")",
          "run the same build of Troupe on every node");
    }
    if (!theirs.run().equals(ours.run())) {
      return refuse(
          "run.dir: run " + theirs.run() + " (expected: " + ours.run() + ", which lives there)",
          "correct cluster.seeds, or give this run addresses of its own");
    }
    List<ResolvedConfig.Difference> differences =
        ResolvedConfig.differences(theirs.config(), ours.config());
    if (!differences.isEmpty()) {
      return refuse(
          told(differences), "start every node with the same config and the same KEY=VALUE");
    }
    if (Math.abs(clockAheadMs) > MAX_CLOCK_DIFFERENCE.toMillis()) {
      return refuse(
          String.format(
              "clock: %d s %s the other nodes (expected: within %d s)",
              Math.abs(clockAheadMs) / 1000,
              clockAheadMs > 0 ? "ahead of" : "behind",
              MAX_CLOCK_DIFFERENCE.toSeconds()),
          "set the clock of this machine by NTP");
    }
    return Optional.empty();
  }

  private static String told(List<ResolvedConfig.Difference> differences) {
    String lines =
        differences.stream()
            .limit(MAX_DIFFERENCES)
            .map(Object::toString)
            .collect(Collectors.joining("\n"));
    int more = differences.size() - MAX_DIFFERENCES;
    return more > 0 ? lines + "\nand " + more + " more keys" : lines;
  }

  private static Optional<Refusal> refuse(String message, String hint) {
    return Optional.of(new Refusal(message, hint));
  }
}
