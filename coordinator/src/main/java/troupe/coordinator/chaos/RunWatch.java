package troupe.coordinator.chaos;

import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import troupe.coordinator.chaos.Observation.Committed;
import troupe.coordinator.chaos.Observation.Happened;
import troupe.coordinator.events.EventLog;
import troupe.coordinator.metrics.MetricsLog;

/** Looks on from the outside, through the files that the run writes. */
final class RunWatch {
  private final LineTail metrics;
  private final LineTail events;
  private long highestStep;

  RunWatch(Path runFolder) {
    metrics = new LineTail(runFolder.resolve(MetricsLog.FILE_NAME));
    events = new LineTail(runFolder.resolve(EventLog.FILE_NAME));
  }

  /**
   * What happened since the last time. Steps come before events: of a step and an epoch that are
   * seen together the step thus counts as older, which can make a recovery look longer by a step
   * but never shorter.
   */
  List<Observation> poll(long nowMs) throws IOException {
    List<Observation> seen = new ArrayList<>();
    for (String line : metrics.poll()) {
      committed(line, nowMs).ifPresent(seen::add);
    }
    for (String line : events.poll()) {
      happened(line, nowMs).ifPresent(seen::add);
    }
    for (Observation observation : seen) {
      if (observation instanceof Committed committed) {
        highestStep = Math.max(highestStep, committed.step());
      }
    }
    return seen;
  }

  /** The last step that was ever committed, rolled back since or not; 0 = none. */
  long highestStep() {
    return highestStep;
  }

  /** Empty for validations and whatever else is in the file. */
  private static Optional<Committed> committed(String line, long nowMs) {
    return json(line)
        .filter(row -> row.has("step") && row.has("loss"))
        .map(row -> new Committed(row.get("step").getAsLong(), nowMs));
  }

  private static Optional<Happened> happened(String line, long nowMs) {
    return json(line)
        .filter(row -> row.has("event"))
        .map(row -> new Happened(row.get("event").getAsString(), row, nowMs));
  }

  private static Optional<JsonObject> json(String line) {
    try {
      return Optional.of(JsonParser.parseString(line).getAsJsonObject());
    } catch (JsonParseException | IllegalStateException e) {
      return Optional.empty();
    }
  }
}
