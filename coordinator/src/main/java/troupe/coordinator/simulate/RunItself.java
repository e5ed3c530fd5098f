package troupe.coordinator.simulate;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import troupe.coordinator.bench.Median;
import troupe.coordinator.metrics.MetricsFile;
import troupe.coordinator.metrics.MetricsLog;
import troupe.coordinator.metrics.StepMetrics;
import troupe.coordinator.run.RunFolder;
import troupe.core.UserException;
import troupe.core.config.Keys;
import troupe.core.config.RunConfig;
import troupe.router.gate.Ledger;

/**
 * What the run that left a trace measured itself in the steps that were replayed.
 *
 * @param factor its capacity factor
 * @param ledger of these steps, all layers
 * @param stepMs median of their times
 */
record RunItself(String router, double factor, Ledger ledger, double stepMs) {
  /** What a run measured; empty if its folder says nothing about these steps. */
  static Optional<RunItself> of(Path folder, List<Long> steps) {
    Path metrics = folder.resolve(MetricsLog.FILE_NAME);
    if (!Files.isReadable(metrics)) {
      return Optional.empty();
    }
    RunConfig config = RunFolder.existing(folder).config();
    Set<Long> wanted = new HashSet<>(steps);
    List<StepMetrics> found = new ArrayList<>();
    try {
      MetricsFile.read(
          metrics,
          line -> {
            if (line instanceof StepMetrics step && wanted.contains(step.step())) {
              found.add(step);
            }
          });
    } catch (IOException e) {
      throw new UserException(metrics + " cannot be read: " + e, "make it readable", e);
    }
    if (found.isEmpty()) {
      return Optional.empty();
    }
    Ledger ledger = new Ledger(0, 0, 0, 0);
    for (StepMetrics step : found) {
      for (Ledger layer : step.ledger_L()) {
        ledger = ledger.plus(layer);
      }
    }
    return Optional.of(
        new RunItself(
            Keys.name(config.gate().type()),
            config.experts().capacityFactor(),
            ledger,
            Median.of(found.stream().mapToDouble(StepMetrics::stepTimeMs).toArray())));
  }

  double dropRate() {
    return ledger.routed() == 0 ? 0 : (double) ledger.dropped() / ledger.routed();
  }
}
