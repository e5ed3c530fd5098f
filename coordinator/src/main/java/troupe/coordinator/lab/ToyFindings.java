package troupe.coordinator.lab;

import com.google.gson.JsonObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import troupe.coordinator.lab.ClusterTask.Sizes;
import troupe.core.config.LabConfig.LabToy;
import troupe.core.config.RunConfig;

/** The toy as table and charts. */
final class ToyFindings {
  /** A start has found the clusters if its loss is at most so many times what noise leaves. */
  private static final double SOLVED = 2;

  private ToyFindings() {}

  static Findings of(
      RunConfig config, Map<Sizes, ToyLab.Result> results, Map<String, String> values) {
    LabToy toy = config.lab().toy();
    double floor = toy.noise() * toy.noise() / 2;
    int methods = results.values().iterator().next().methods().size();
    JsonObject json = new JsonObject();
    results.forEach((sizes, result) -> json.add(name(sizes), result.json()));
    return new Findings(
        "Points that experts divide among themselves",
        format(
            "A task of this project's own, in the spirit of Kool, Maddison and Mnih (arXiv 2109.11817): %d"
                + " points in %d clusters, each with a line of its own, are divided among %d linear"
                + " experts with room for %d each by a linear router; %,d steps of Adam on all points, %d"
                + " starts. Points without room are left out of a step.",
            toy.points(),
            toy.experts(),
            toy.experts(),
            toy.points() / toy.experts(),
            toy.steps(),
            config.lab().seeds()),
        List.of(
            new Findings.Tile("Methods", String.valueOf(methods), "the real gates"),
            new Findings.Tile(
                "Starts", String.valueOf(config.lab().seeds()), "the same for each method"),
            new Findings.Tile("Noise floor", format("%.4f", floor), "half its variance")),
        results.entrySet().stream()
            .map(entry -> section(entry.getKey(), entry.getValue(), floor))
            .toList(),
        values,
        json);
  }

  private static Findings.Section section(Sizes sizes, ToyLab.Result result, double floor) {
    String what =
        switch (sizes) {
          case EVEN -> "Every cluster fits one expert.";
          case UNEVEN ->
              "The largest clusters are more than an expert has room for, so whoever follows capacity"
                  + " splits them.";
        };
    return new Findings.Section(
        switch (sizes) {
          case EVEN -> "Even clusters";
          case UNEVEN -> "Uneven clusters";
        },
        what
            + format(
                " Loss: half the squared error, mean of all points at the expert that the gate would take"
                    + " after training, without a limit; noise leaves about %.4f. Solved: at most %.0f"
                    + " times that. Overflow: points that experts of even capacity would then have no"
                    + " room for.",
                floor, SOLVED),
        table(result, SOLVED * floor),
        List.of(
            Chart.dots(
                "final-" + name(sizes),
                "Final loss",
                "a dot a start, the bar is the median",
                Chart.Axis.log("loss"),
                result.methods().stream()
                    .map(method -> Series.dots(method.name(), method.losses()))
                    .toList()),
            Chart.lines(
                "curves-" + name(sizes),
                "Loss by step",
                "median of the starts, the band holds the middle half",
                Chart.Axis.linear("step"),
                Chart.Axis.log("loss"),
                result.methods().stream()
                    .map(method -> curve(method, result.curveStep()))
                    .toList())));
  }

  private static String name(Sizes sizes) {
    return sizes.name().toLowerCase(Locale.ROOT);
  }

  private static Table table(ToyLab.Result result, double solved) {
    List<List<String>> rows = new ArrayList<>();
    for (ToyLab.Method method : result.methods()) {
      double[] losses = method.losses();
      rows.add(
          List.of(
              method.name(),
              format("%.4f", Statistics.median(losses)),
              format("%.4f", Statistics.mean(losses)),
              format("%.4f", Statistics.spread(losses)),
              format("%.4f", Statistics.quantile(losses, 0)),
              format("%.4f", Statistics.quantile(losses, 1)),
              format(
                  "%d of %d",
                  Arrays.stream(losses).filter(loss -> loss <= solved).count(), losses.length),
              format("%.0f %%", 100 * Statistics.mean(method.overflows()))));
    }
    return new Table(
        List.of("method", "median", "mean", "spread", "best", "worst", "solved", "overflow"), rows);
  }

  private static Series curve(ToyLab.Method method, double[] curveStep) {
    double[] median = new double[curveStep.length];
    double[] low = new double[curveStep.length];
    double[] high = new double[curveStep.length];
    for (int i = 0; i < curveStep.length; i++) {
      median[i] = Statistics.median(method.at(i));
      low[i] = Statistics.quantile(method.at(i), 0.25);
      high[i] = Statistics.quantile(method.at(i), 0.75);
    }
    return new Series(method.name(), curveStep, median, low, high);
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
