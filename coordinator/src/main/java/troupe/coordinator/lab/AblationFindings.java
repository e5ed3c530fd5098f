package troupe.coordinator.lab;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import troupe.coordinator.lab.Comparison.Row;
import troupe.core.config.RunConfig;

/** An ablation as table and charts. */
final class AblationFindings {
  /** Of the steps, what the curves leave out: the first fall would hide all differences. */
  private static final double SKIPPED = 0.2;

  /** Steps that a point of a curve is the mean of, before and at it, as a share of all. */
  private static final double SMOOTHED = 0.05;

  private final RunConfig config;
  private final Comparison comparison;
  private final int trials;

  private AblationFindings(RunConfig config, Comparison comparison, int trials) {
    this.config = config;
    this.comparison = comparison;
    this.trials = trials;
  }

  static Findings of(
      RunConfig config, Comparison comparison, int trials, Map<String, String> values) {
    return new AblationFindings(config, comparison, trials).findings(values);
  }

  private Findings findings(Map<String, String> values) {
    int done = comparison.rows().stream().mapToInt(row -> row.results().size()).sum();
    List<Findings.Section> sections = new ArrayList<>();
    sections.add(
        new Findings.Section(
            "Arms",
            "Losses in nats a token: mean of the seeds, +- standard deviation between them. Difference:"
                + " validation loss less that of Switch with as many experts, seed by seed (same text in"
                + " the same order), so its spread is what tells whether it is there. Steps: when the"
                + " training loss (mean of 20 steps) is what Switch's is at its end; seeds that get there"
                + " in brackets. Entropy: of the load, 1 if all experts are equally busy.",
            table(),
            List.of()));
    sections.add(sweepSection());
    for (int experts : comparison.experts()) {
      sections.add(curves(experts));
    }
    return new Findings(
        "Ablation",
        format(
            "%d of %d trainings: %s steps of %,d tokens of the %s, model of width %d and %d layers; %d"
                + " seeds.",
            done,
            trials,
            String.format(Locale.ROOT, "%,d", config.train().steps()),
            config.train().batch() * config.model().seq(),
            config.data().source().name().toLowerCase(Locale.ROOT).replace('_', ' '),
            config.model().dModel(),
            config.model().layers(),
            config.lab().seeds()),
        tiles(done),
        sections.stream().filter(s -> s.table() != null || !s.charts().isEmpty()).toList(),
        values,
        comparison.json());
  }

  private List<Findings.Tile> tiles(int done) {
    List<Findings.Tile> tiles = new ArrayList<>();
    tiles.add(new Findings.Tile("Trainings", done + " of " + trials, "done"));
    comparison.rows().stream()
        .min(Comparator.comparingDouble(AblationFindings::validation))
        .ifPresent(
            best ->
                tiles.add(
                    new Findings.Tile(
                        "Best validation loss",
                        format("%.4f", validation(best)),
                        best.arm().name())));
    comparison.rows().stream()
        .filter(row -> !row.isBaseline())
        .min(Comparator.comparingDouble(AblationFindings::difference))
        .ifPresent(
            best ->
                tiles.add(
                    new Findings.Tile(
                        "Furthest below Switch",
                        format("%+.4f", difference(best)),
                        best.arm().name() + ", +- " + spread(best))));
    comparison.rows().stream()
        .flatMap(row -> row.results().values().stream())
        .findFirst()
        .ifPresent(
            any ->
                tiles.add(
                    new Findings.Tile(
                        "Run on",
                        any.where().split(",")[0],
                        any.where().replaceFirst("^[^,]*, ", ""))));
    return tiles;
  }

  private static double validation(Row row) {
    double mean = Statistics.mean(row.values(TrialResult::finalValidation));
    return Double.isNaN(mean) ? Double.POSITIVE_INFINITY : mean;
  }

  private static double difference(Row row) {
    double mean = Statistics.mean(row.differences(TrialResult::finalValidation));
    return Double.isNaN(mean) ? Double.POSITIVE_INFINITY : mean;
  }

  private static String spread(Row row) {
    double spread = Statistics.spread(row.differences(TrialResult::finalValidation));
    return Double.isNaN(spread) ? "-" : format("%.4f", spread);
  }

  private Table table() {
    List<List<String>> rows = new ArrayList<>();
    for (Row row : comparison.rows()) {
      rows.add(
          List.of(
              row.arm().name(),
              String.valueOf(row.experts()),
              String.valueOf(row.results().size()),
              withSpread(row.values(TrialResult::finalLoss), "%.4f"),
              withSpread(row.values(TrialResult::finalValidation), "%.4f"),
              row.isBaseline()
                  ? "-"
                  : withSpread(row.differences(TrialResult::finalValidation), "%+.4f"),
              steps(row),
              format("%.0f %%", 100 * Statistics.mean(row.values(TrialResult::alive))),
              format("%.3f", Statistics.mean(row.values(TrialResult::entropy))),
              format("%.0f", Statistics.median(row.values(TrialResult::stepMs)))));
    }
    return new Table(
        List.of(
            "arm",
            "N",
            "seeds",
            "training loss",
            "validation loss",
            "less Switch's",
            "steps to Switch's loss",
            "alive",
            "entropy",
            "ms a step"),
        rows);
  }

  private static String withSpread(double[] values, String pattern) {
    if (values.length == 0) {
      return "-";
    }
    double spread = Statistics.spread(values);
    String mean = format(pattern, Statistics.mean(values));
    return Double.isNaN(spread) ? mean : mean + format(" +- %.4f", spread);
  }

  private static String steps(Row row) {
    double[] reached = row.stepsToBaseline();
    return reached.length == 0
        ? "never"
        : format("%.0f (%d)", Statistics.mean(reached), reached.length);
  }

  private Findings.Section sweepSection() {
    List<Chart> charts = new ArrayList<>();
    charts.addAll(sweep("experts.count", "n", "experts N", true, Row::experts));
    charts.addAll(sweep("gate.jitter", "r", "jitter r", false, Row::jitter));
    return new Findings.Section(
        "By number of experts and by jitter",
        "Mean of the seeds; the band is from the least to the largest.",
        null,
        charts);
  }

  private List<Chart> sweep(
      String key, String id, String xName, boolean log, ToDoubleFunction<Row> x) {
    List<Series> losses = new ArrayList<>();
    List<Series> differences = new ArrayList<>();
    for (List<Row> sweep : comparison.sweeps(key, x)) {
      String name = name(sweep);
      double[] at = sweep.stream().mapToDouble(x).toArray();
      losses.add(
          banded(
              name, at, sweep.stream().map(r -> r.values(TrialResult::finalValidation)).toList()));
      if (!sweep.getFirst().isBaseline()) {
        differences.add(
            banded(
                name,
                at,
                sweep.stream().map(r -> r.differences(TrialResult::finalValidation)).toList()));
      }
    }
    List<Chart> charts = new ArrayList<>();
    Chart.Axis axis = new Chart.Axis(xName, log);
    if (!losses.isEmpty()) {
      charts.add(
          Chart.lines(
              "validation-" + id,
              "Validation loss",
              "at the end",
              axis,
              Chart.Axis.linear("nats a token"),
              losses));
    }
    if (!differences.isEmpty()) {
      charts.add(
          Chart.lines(
              "difference-" + id,
              "Difference from Switch",
              "with as many experts; below zero is better",
              axis,
              Chart.Axis.linear("nats a token"),
              differences));
    }
    return charts;
  }

  /** The shortest of their names: that without what differs. */
  private static String name(List<Row> sweep) {
    return sweep.stream()
        .map(row -> row.arm().name())
        .min(Comparator.comparingInt(String::length).thenComparing(Comparator.naturalOrder()))
        .orElseThrow();
  }

  private static Series banded(String name, double[] x, List<double[]> values) {
    return new Series(
        name,
        x,
        values.stream().mapToDouble(Statistics::mean).toArray(),
        values.stream().mapToDouble(v -> Arrays.stream(v).min().orElse(Double.NaN)).toArray(),
        values.stream().mapToDouble(v -> Arrays.stream(v).max().orElse(Double.NaN)).toArray());
  }

  private Findings.Section curves(int experts) {
    List<Series> losses = new ArrayList<>();
    List<Series> differences = new ArrayList<>();
    for (Row row : comparison.rows()) {
      if (row.experts() == experts) {
        losses.add(curve(row, false));
        if (!row.isBaseline()) {
          differences.add(curve(row, true));
        }
      }
    }
    List<Chart> charts = new ArrayList<>();
    charts.add(
        Chart.lines(
            "loss-" + experts,
            "Training loss",
            "smoothed, mean of the seeds",
            Chart.Axis.linear("step"),
            Chart.Axis.linear("nats a token"),
            losses));
    if (!differences.isEmpty()) {
      charts.add(
          Chart.lines(
              "less-" + experts,
              "Difference from Switch",
              "on the same text; below zero is better",
              Chart.Axis.linear("step"),
              Chart.Axis.linear("nats a token"),
              differences));
    }
    return new Findings.Section(experts + " experts", "", null, charts);
  }

  private static Series curve(Row row, boolean less) {
    List<double[]> curves = new ArrayList<>();
    TrialResult any = row.results().values().iterator().next();
    int window = (int) Math.max(1, Math.round(SMOOTHED * any.curve().length));
    int from = (int) (SKIPPED * any.curve().length);
    for (TrialResult result : row.results().values()) {
      double[] curve = smooth(result.curve(), window);
      TrialResult other = less ? row.baseline().results().get(result.seed()) : null;
      if (less && other != null) {
        double[] base = smooth(other.curve(), window);
        for (int i = 0; i < curve.length; i++) {
          curve[i] -= i < base.length ? base[i] : Double.NaN;
        }
      }
      if (!less || other != null) {
        curves.add(curve);
      }
    }
    int count = any.curve().length - from;
    double[] x = new double[count];
    List<double[]> values = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      int at = from + i;
      x[i] = any.curveSteps()[at];
      values.add(curves.stream().filter(c -> c.length > at).mapToDouble(c -> c[at]).toArray());
    }
    Series banded = banded(row.arm().name(), x, values);
    return curves.size() > 1 ? banded : Series.of(banded.name(), banded.x(), banded.y());
  }

  /** The mean of each value and those before it. */
  private static double[] smooth(double[] curve, int window) {
    double[] smooth = new double[curve.length];
    double sum = 0;
    for (int i = 0; i < curve.length; i++) {
      sum += curve[i] - (i >= window ? curve[i - window] : 0);
      smooth[i] = sum / Math.min(i + 1, window);
    }
    return smooth;
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
