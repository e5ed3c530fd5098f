package troupe.coordinator.lab;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import troupe.coordinator.metrics.JsonNumbers;
import troupe.core.config.GateConfig;
import troupe.core.config.GateType;
import troupe.core.config.LabConfig.LabEstimators;
import troupe.core.config.RunConfig;

/**
 * Measures estimators of the router's gradient against the gradient that enumeration gives: for
 * each problem over numbers of experts at one jitter, and over jitters at one number of experts.
 */
final class EstimatorLab {
  private static final int CLOCK_TOKENS = 512;

  private final RunConfig config;
  private final LabEstimators lab;
  private final List<Arm> arms;
  private final Consumer<String> progress;

  EstimatorLab(RunConfig config, Consumer<String> progress) {
    this.config = config;
    this.lab = config.lab().estimators();
    this.arms = Arm.parse("lab.estimators.gates", lab.gates());
    this.progress = progress;
  }

  /** One gate at one place of the sweep. */
  private record Point(Arm arm, Problem.Kind kind, int experts, double jitter) {}

  /** What a gate costs. */
  record Cost(String gate, int experts, double nanosPerToken) {
    JsonObject json() {
      JsonObject json = new JsonObject();
      json.addProperty("gate", gate);
      json.addProperty("experts", experts);
      JsonNumbers.put(json, "ns_per_token", nanosPerToken);
      return json;
    }
  }

  /** What was measured. */
  record Result(List<Measurement> measurements, List<Cost> costs) {
    JsonObject json() {
      JsonObject json = new JsonObject();
      JsonArray all = new JsonArray();
      measurements.forEach(measurement -> all.add(measurement.json()));
      json.add("measurements", all);
      JsonArray cost = new JsonArray();
      costs.forEach(one -> cost.add(one.json()));
      json.add("costs", cost);
      return json;
    }
  }

  Result run() {
    List<Point> points = points();
    AtomicInteger done = new AtomicInteger();
    // In parallel, which changes no number: every point has draws of its own.
    List<Measurement> measurements =
        points.parallelStream()
            .map(
                point -> {
                  Measurement measurement = measure(point);
                  int count = done.incrementAndGet();
                  if (count % 50 == 0 || count == points.size()) {
                    progress.accept(
                        String.format(Locale.ROOT, "measured   %d of %d", count, points.size()));
                  }
                  return measurement;
                })
            .toList();
    progress.accept("timing     gates, one at a time");
    return new Result(measurements, costs());
  }

  /** Long ones first, so that no thread is left with one at the end. */
  private List<Point> points() {
    List<Point> points = new ArrayList<>();
    for (Problem.Kind kind : Problem.Kind.values()) {
      for (Arm arm : arms) {
        GateConfig gate = arm.config(config, List.of()).gate();
        for (int experts : lab.experts().reversed()) {
          if (Contender.fits(gate.type(), lab.tokens(), experts)) {
            points.add(new Point(arm, kind, experts, lab.baseJitter()));
          }
        }
        for (double jitter : lab.jitters()) {
          boolean known = jitter == lab.baseJitter() && lab.experts().contains(lab.baseExperts());
          if (Contender.usesJitter(gate) && !known) {
            points.add(new Point(arm, kind, lab.baseExperts(), jitter));
          }
        }
      }
    }
    points.sort((a, b) -> Integer.compare(b.experts, a.experts));
    return points;
  }

  private Measurement measure(Point point) {
    Contender contender = Contender.of(config, point.arm, point.experts, point.jitter);
    Meter meter = new Meter();
    for (int i = 0; i < config.lab().seeds(); i++) {
      long seed = config.seed() + i;
      meter.add(
          problem(point.kind, point.experts, lab.tokens(), seed), contender, lab.samples(), seed);
    }
    return meter.measurement(point.arm.name(), name(point.kind), point.experts, point.jitter);
  }

  private Problem problem(Problem.Kind kind, int experts, int tokens, long seed) {
    return Problem.random(kind, tokens, experts, config.model().activation(), seed);
  }

  static String name(Problem.Kind kind) {
    return kind.name().toLowerCase(Locale.ROOT);
  }

  /** One after the other: two at once would wait for each other's memory. */
  private List<Cost> costs() {
    GateClock clock = new GateClock(System::nanoTime);
    List<Cost> costs = new ArrayList<>();
    for (Arm arm : arms) {
      GateType type = arm.config(config, List.of()).gate().type();
      for (int experts : lab.experts()) {
        if (Contender.fits(type, CLOCK_TOKENS, experts)) {
          Contender contender = Contender.of(config, arm, experts, lab.baseJitter());
          Problem problem = problem(Problem.Kind.QUADRATIC, experts, CLOCK_TOKENS, config.seed());
          costs.add(new Cost(arm.name(), experts, clock.nanosPerToken(contender, problem)));
        }
      }
    }
    return costs;
  }

  /** The measurements of one gate and problem over numbers of experts. */
  static List<Measurement> overExperts(
      Result result, LabEstimators lab, String gate, String problem) {
    return lab.experts().stream()
        .flatMap(experts -> find(result, gate, problem, experts, lab.baseJitter()).stream())
        .toList();
  }

  /** The measurements of one gate and problem over jitters. */
  static List<Measurement> overJitters(
      Result result, LabEstimators lab, String gate, String problem) {
    return lab.jitters().stream()
        .flatMap(jitter -> find(result, gate, problem, lab.baseExperts(), jitter).stream())
        .toList();
  }

  private static List<Measurement> find(
      Result result, String gate, String problem, int experts, double jitter) {
    return result.measurements().stream()
        .filter(
            m ->
                m.gate().equals(gate)
                    && m.problem().equals(problem)
                    && m.experts() == experts
                    && m.jitter() == jitter)
        .toList();
  }
}
