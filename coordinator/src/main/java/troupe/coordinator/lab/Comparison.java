package troupe.coordinator.lab;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.ToDoubleFunction;
import troupe.coordinator.metrics.JsonNumbers;
import troupe.core.config.GateType;

/**
 * The results of an ablation by arm, each with the arm that it is measured against: the first one
 * with {@code gate.type = switch} and as many experts. Trials of one seed see the same text in the
 * same order, so they are compared seed by seed.
 */
final class Comparison {
  /**
   * An arm and what there is of it.
   *
   * @param experts of each layer
   * @param results by seed
   * @param baseline what it is measured against, itself if it is that; {@code null} without one
   */
  record Row(
      Arm arm,
      int experts,
      double jitter,
      GateType type,
      Map<Long, TrialResult> results,
      Row baseline) {
    double[] values(ToDoubleFunction<TrialResult> value) {
      return results.values().stream().mapToDouble(value).toArray();
    }

    boolean isBaseline() {
      return baseline == null;
    }

    /** This less the baseline, seed by seed, where both are there. */
    double[] differences(ToDoubleFunction<TrialResult> value) {
      return isBaseline()
          ? new double[0]
          : results.values().stream()
              .filter(result -> baseline.results.containsKey(result.seed()))
              .mapToDouble(
                  result ->
                      value.applyAsDouble(result)
                          - value.applyAsDouble(baseline.results.get(result.seed())))
              .toArray();
    }

    /**
     * The step at which the training loss is that of the baseline at its end; of the seeds that get
     * there.
     */
    double[] stepsToBaseline() {
      List<Double> steps = new ArrayList<>();
      for (TrialResult result : results.values()) {
        TrialResult other = isBaseline() ? result : baseline.results.get(result.seed());
        if (other != null) {
          OptionalLong reached =
              Statistics.stepsTo(goal(other), result.curveSteps(), result.curve(), result.window());
          reached.ifPresent(step -> steps.add((double) step));
        }
      }
      return steps.stream().mapToDouble(Double::doubleValue).toArray();
    }

    private static double goal(TrialResult result) {
      return Statistics.meanOfLast(result.curve(), result.window());
    }
  }

  private final List<Row> rows;

  private Comparison(List<Row> rows) {
    this.rows = rows;
  }

  /** Rows in the order of the arms; those without any result are left out. */
  static Comparison of(List<Trial> trials, ResultsFile file) {
    Map<Arm, List<Trial>> byArm = new LinkedHashMap<>();
    trials.forEach(
        trial -> byArm.computeIfAbsent(trial.arm(), arm -> new ArrayList<>()).add(trial));
    Map<Integer, Row> baselines = new LinkedHashMap<>();
    List<Row> baseRows = new ArrayList<>();
    byArm.forEach(
        (arm, ofArm) -> {
          Row row = row(arm, ofArm, file);
          if (row.type == GateType.SWITCH) {
            baselines.putIfAbsent(row.experts, row);
          }
          baseRows.add(row);
        });
    List<Row> rows = new ArrayList<>();
    for (Row row : baseRows) {
      Row baseline = baselines.get(row.experts);
      if (!row.results.isEmpty()) {
        rows.add(
            row == baseline || baseline == null
                ? row
                : new Row(row.arm, row.experts, row.jitter, row.type, row.results, baseline));
      }
    }
    return new Comparison(rows);
  }

  private static Row row(Arm arm, List<Trial> trials, ResultsFile file) {
    Map<Long, TrialResult> results = new LinkedHashMap<>();
    trials.forEach(
        trial -> file.find(trial).ifPresent(result -> results.put(trial.seed(), result)));
    Trial first = trials.getFirst();
    return new Row(
        arm,
        first.config().experts().count(),
        first.config().gate().jitter(),
        first.config().gate().type(),
        results,
        null);
  }

  List<Row> rows() {
    return rows;
  }

  /** Numbers of experts, ascending. */
  List<Integer> experts() {
    return rows.stream().map(Row::experts).distinct().sorted().toList();
  }

  /**
   * Arms that differ in one key alone, two or more of them, in the order of that key's value.
   *
   * @param key such as {@code experts.count}
   */
  List<List<Row>> sweeps(String key, ToDoubleFunction<Row> value) {
    Map<Set<String>, List<Row>> byRest = new LinkedHashMap<>();
    for (Row row : rows) {
      byRest.computeIfAbsent(row.arm.overridesWithout(key), rest -> new ArrayList<>()).add(row);
    }
    return byRest.values().stream()
        .filter(sweep -> sweep.stream().mapToDouble(value).distinct().count() > 1)
        .map(
            sweep ->
                sweep.stream()
                    .sorted(
                        (a, b) -> Double.compare(value.applyAsDouble(a), value.applyAsDouble(b)))
                    .toList())
        .toList();
  }

  JsonObject json() {
    JsonArray arms = new JsonArray();
    for (Row row : rows) {
      JsonObject json = new JsonObject();
      json.addProperty("arm", row.arm.name());
      json.addProperty("overrides", String.join(" ", row.arm.overrides()));
      json.addProperty("experts", row.experts);
      json.addProperty("baseline", row.isBaseline() ? null : row.baseline.arm.name());
      JsonNumbers.put(json, "final_loss", row.values(TrialResult::finalLoss));
      JsonNumbers.put(json, "final_validation", row.values(TrialResult::finalValidation));
      JsonNumbers.put(
          json, "validation_less_baseline", row.differences(TrialResult::finalValidation));
      JsonNumbers.put(json, "steps_to_baseline", row.stepsToBaseline());
      JsonNumbers.put(json, "alive", row.values(TrialResult::alive));
      JsonNumbers.put(json, "entropy", row.values(TrialResult::entropy));
      JsonNumbers.put(json, "step_ms", row.values(TrialResult::stepMs));
      arms.add(json);
    }
    JsonObject json = new JsonObject();
    json.add("arms", arms);
    return json;
  }
}
