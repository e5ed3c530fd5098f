package troupe.coordinator.chaos;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import troupe.coordinator.chaos.Disturbance.Kind;

/**
 * What a disturbed run came to.
 *
 * @param seed of the plan
 * @param nodes at the beginning
 * @param seconds from the first committed step to the order to stop, or to the end
 * @param steps committed at the end
 * @param trainingShare of that time in which new steps were made, from 0 to 1
 * @param replicateEvery most steps that a fault may cost
 * @param faults in their order
 * @param hash of the final parameters; empty if there are none
 * @param expectedHash of the undisturbed run's; empty if it was not made
 * @param problems a line for everything that should not have been
 */
public record ChaosVerdict(
    long seed,
    int nodes,
    double seconds,
    long steps,
    double trainingShare,
    int replicateEvery,
    List<FaultResult> faults,
    String hash,
    String expectedHash,
    List<String> problems) {
  /** The name of the file in the folder of a run. */
  public static final String FILE_NAME = "verdict.json";

  /** Copies the lists. */
  public ChaosVerdict {
    faults = List.copyOf(faults);
    problems = List.copyOf(problems);
  }

  /** Whether every fault was recovered from, to the same bits, and nothing else went wrong. */
  public boolean holds() {
    return problems.isEmpty() && faults.stream().allMatch(FaultResult::isRecovered) && isEqual();
  }

  /** Whether both hashes are there and the same. */
  boolean isEqual() {
    return !hash.isEmpty() && hash.equals(expectedHash);
  }

  /** A table for people; no line break at its end. */
  public String text() {
    List<String> lines = new ArrayList<>();
    lines.add(
        line("chaos      seed %d, %d nodes, disturbed for %.1f min", seed, nodes, seconds / 60));
    lines.add(line("steps      %d committed", steps));
    lines.add(line("training   %.1f %% of the time", 100 * trainingShare));
    lines.add("");
    lines.add(
        line(
            "%-20s %5s %9s   %8s %8s   %8s %6s",
            "fault", "count", "recovered", "median s", "worst s", "replayed", "worst"));
    byKind().forEach((kind, results) -> lines.add(row(kind.words(), results)));
    lines.add(row("all", faults));
    lines.add("");
    problems.forEach(problem -> lines.add("problem    " + problem));
    lines.add(line("hash       %s", hashes()));
    lines.add(
        line(
            "verdict    %s",
            holds() ? "held: everything recovered, to the same bits" : "BROKEN: see above"));
    return String.join("\n", lines);
  }

  /** The same with every fault, as one JSON object. */
  public String json() {
    JsonObject json = new JsonObject();
    json.addProperty("held", holds());
    json.addProperty("seed", seed);
    json.addProperty("nodes", nodes);
    json.addProperty("seconds", rounded(seconds));
    json.addProperty("steps_committed", steps);
    json.addProperty("training_share", rounded(trainingShare));
    json.addProperty("replicate_every", replicateEvery);
    json.addProperty("steps_replayed", replayed(faults));
    json.addProperty("steps_replayed_worst", worstReplayed(faults));
    json.addProperty("hash", hash);
    json.addProperty("expected_hash", expectedHash);
    json.addProperty("hash_equal", isEqual());
    JsonObject kinds = new JsonObject();
    byKind().forEach((kind, results) -> kinds.add(kind.words(), summary(results)));
    json.add("by_kind", kinds);
    JsonArray all = new JsonArray();
    faults.forEach(fault -> all.add(json(fault)));
    json.add("faults", all);
    JsonArray told = new JsonArray();
    problems.forEach(told::add);
    json.add("problems", told);
    return new GsonBuilder().setPrettyPrinting().serializeNulls().create().toJson(json);
  }

  private Map<Kind, List<FaultResult>> byKind() {
    Map<Kind, List<FaultResult>> byKind = new EnumMap<>(Kind.class);
    for (FaultResult fault : faults) {
      byKind.computeIfAbsent(fault.kind(), kind -> new ArrayList<>()).add(fault);
    }
    return byKind;
  }

  private String hashes() {
    if (hash.isEmpty()) {
      return "none: the disturbed run left no checkpoint";
    }
    if (expectedHash.isEmpty()) {
      return hash + ", with nothing to compare it to";
    }
    return isEqual() ? "equal: " + hash : "DIFFERENT: " + hash + ", undisturbed " + expectedHash;
  }

  private static String row(String name, List<FaultResult> faults) {
    double[] seconds = recoveries(faults);
    return line(
        "%-20s %5d %9d   %8s %8s   %8d %6d",
        name,
        faults.size(),
        faults.stream().filter(FaultResult::isRecovered).count(),
        seconds.length == 0 ? "-" : line("%.1f", median(seconds)),
        seconds.length == 0 ? "-" : line("%.1f", seconds[seconds.length - 1]),
        replayed(faults),
        worstReplayed(faults));
  }

  private static JsonObject summary(List<FaultResult> faults) {
    double[] seconds = recoveries(faults);
    JsonObject json = new JsonObject();
    json.addProperty("count", faults.size());
    json.addProperty("recovered", faults.stream().filter(FaultResult::isRecovered).count());
    json.addProperty("recovery_s_median", seconds.length == 0 ? null : rounded(median(seconds)));
    json.addProperty(
        "recovery_s_worst", seconds.length == 0 ? null : rounded(seconds[seconds.length - 1]));
    json.addProperty("steps_replayed", replayed(faults));
    json.addProperty("steps_replayed_worst", worstReplayed(faults));
    return json;
  }

  private static JsonObject json(FaultResult fault) {
    JsonObject json = new JsonObject();
    json.addProperty("kind", fault.kind().words());
    json.addProperty("who", fault.who());
    json.addProperty("at_s", rounded(fault.atSeconds()));
    json.addProperty("recovered_s", rounded(fault.recoveredSeconds()));
    json.addProperty("regained_s", rounded(fault.regainedSeconds()));
    json.addProperty("steps_replayed", fault.replayed());
    return json;
  }

  /** Seconds to recover of those that did, in order. */
  private static double[] recoveries(List<FaultResult> faults) {
    return faults.stream()
        .map(FaultResult::recoveredSeconds)
        .flatMapToDouble(OptionalDouble::stream)
        .sorted()
        .toArray();
  }

  private static double median(double[] sorted) {
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  private static long replayed(List<FaultResult> faults) {
    return faults.stream().mapToLong(FaultResult::replayed).sum();
  }

  private static long worstReplayed(List<FaultResult> faults) {
    return faults.stream().mapToLong(FaultResult::replayed).max().orElse(0);
  }

  private static Double rounded(OptionalDouble value) {
    return value.isPresent() ? rounded(value.getAsDouble()) : null;
  }

  private static Double rounded(double value) {
    return Math.round(value * 1e3) / 1e3;
  }

  private static String line(String format, Object... arguments) {
    return String.format(Locale.ROOT, format, arguments);
  }
}
