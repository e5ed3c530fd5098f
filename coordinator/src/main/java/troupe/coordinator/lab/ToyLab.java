package troupe.coordinator.lab;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import troupe.coordinator.metrics.JsonNumbers;
import troupe.core.config.LabConfig.LabToy;
import troupe.core.config.RunConfig;

/**
 * Trains every arm on two tasks from many starts. Tasks are those of {@code seed}; starts and draws
 * are those of {@code seed} and the numbers after it, the same for all arms.
 */
final class ToyLab {
  private static final int CURVE_POINTS = 100;

  private ToyLab() {}

  /**
   * One training.
   *
   * @param curve loss at each of the curve's steps, the last of which is the end
   */
  record Run(double[] curve, double overflow) {
    double loss() {
      return curve[curve.length - 1];
    }
  }

  /** All trainings of an arm, by seed. */
  record Method(String name, List<Run> runs) {
    double[] losses() {
      return runs.stream().mapToDouble(Run::loss).toArray();
    }

    double[] overflows() {
      return runs.stream().mapToDouble(Run::overflow).toArray();
    }

    /** Losses of all runs at a point of the curve. */
    double[] at(int point) {
      return runs.stream().mapToDouble(run -> run.curve[point]).toArray();
    }
  }

  /** What was trained; {@code curveStep} are the steps of all curves. */
  record Result(List<Method> methods, double[] curveStep) {
    JsonObject json() {
      JsonArray all = new JsonArray();
      for (Method method : methods) {
        JsonObject json = new JsonObject();
        json.addProperty("arm", method.name);
        JsonNumbers.put(json, "loss", method.losses());
        JsonNumbers.put(json, "overflow", method.overflows());
        JsonNumbers.put(
            json,
            "median_curve",
            IntStream.range(0, curveStep.length)
                .mapToDouble(i -> Statistics.median(method.at(i)))
                .toArray());
        all.add(json);
      }
      JsonObject json = new JsonObject();
      json.add("arms", all);
      JsonNumbers.put(json, "curve_step", curveStep);
      return json;
    }
  }

  /** Every arm on each task. */
  static Map<ClusterTask.Sizes, Result> run(RunConfig config, Consumer<String> out) {
    Map<ClusterTask.Sizes, Result> results = new EnumMap<>(ClusterTask.Sizes.class);
    for (ClusterTask.Sizes sizes : ClusterTask.Sizes.values()) {
      results.put(sizes, run(config, sizes, out));
    }
    return results;
  }

  private static Result run(RunConfig config, ClusterTask.Sizes sizes, Consumer<String> out) {
    LabToy toy = config.lab().toy();
    ClusterTask task =
        ClusterTask.random(toy.points(), toy.experts(), sizes, toy.noise(), config.seed());
    double[] curveStep = curveStep(toy.steps());
    List<Method> methods = new ArrayList<>();
    for (Arm arm : Arm.parse("lab.arms", config.lab().arms())) {
      RunConfig armConfig = arm.config(config, List.of("experts.count=" + toy.experts()));
      // Each from a start of its own: in parallel, which changes no number.
      List<Run> runs =
          IntStream.range(0, config.lab().seeds())
              .parallel()
              .mapToObj(i -> run(task, armConfig, config.seed() + i, curveStep))
              .toList();
      methods.add(new Method(arm.name(), runs));
      out.accept(
          String.format(
              Locale.ROOT,
              "trained    %s clusters, %s: median loss %.4f of %d starts",
              sizes.name().toLowerCase(Locale.ROOT),
              arm.name(),
              Statistics.median(methods.getLast().losses()),
              runs.size()));
    }
    return new Result(methods, curveStep);
  }

  private static double[] curveStep(int steps) {
    int points = Math.min(steps, CURVE_POINTS);
    return IntStream.rangeClosed(1, points)
        .mapToDouble(i -> Math.round((double) steps * i / points))
        .toArray();
  }

  private static Run run(ClusterTask task, RunConfig config, long seed, double[] curveStep) {
    ToyTraining training = new ToyTraining(task, config, seed);
    double[] curve = new double[curveStep.length];
    int step = 0;
    for (int i = 0; i < curve.length; i++) {
      for (; step < curveStep[i]; step++) {
        training.step();
      }
      curve[i] = training.loss();
    }
    return new Run(curve, training.overflow());
  }
}
