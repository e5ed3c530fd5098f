package troupe.coordinator.simulate;

import com.google.gson.Gson;
import java.io.IOException;
import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import troupe.coordinator.metrics.Page;
import troupe.core.config.Keys;
import troupe.core.config.ResolvedConfig;

/** A simulation as a page with plots, in one file that needs no network. */
final class SimulationPage {
  /** What a screen shows of a load map: more experts or steps are put together. */
  private static final int MOST_ROWS = 96;

  private static final int MOST_COLUMNS = 120;

  /** Points of the curve of sorted loads. */
  private static final int CURVE = 100;

  /** Drops that a reader is likely to put up with. */
  private static final double FEW = 0.01;

  private static final MathContext DIGITS = new MathContext(4);

  private SimulationPage() {}

  static String of(SimulationResult result, String title) throws IOException {
    Map<String, Object> data = new LinkedHashMap<>();
    data.put("few", 100 * FEW);
    data.put("stepNumbers", stepLabels(result));
    data.put("expertsOfRow", expertsOfRow(result));
    List<Object> routers = new ArrayList<>();
    result.routers().forEach(router -> routers.add(router(result, router)));
    data.put("routers", routers);
    return Page.of(
        SimulationPage.class,
        "simulate",
        "simulated",
        Page.fill(SimulationPage.class, "simulate", Map.of("table", table(result))),
        Map.of(
            "title", Page.escape(title),
            "subtitle", Page.escape(subtitle(result)),
            "tiles", tiles(result),
            "config", Page.configRows(config(result)),
            "data", new Gson().toJson(data)));
  }

  private static Map<String, String> config(SimulationResult result) {
    Map<String, String> values = ResolvedConfig.values(result.config());
    values.keySet().removeIf(key -> !key.matches("(seed|(model|gate|experts|simulate)\\..*)"));
    return values;
  }

  private static String subtitle(SimulationResult result) {
    String trace = result.config().simulate().trace();
    ClusterMap map = result.map();
    return format(
            "%,d experts in each of %d layers, %,d tokens a step in groups of %,d, on %,d node%s x %,d device%s. ",
            map.experts(),
            result.layers() * result.layersEach(),
            map.tokens(),
            result.groupTokens(),
            map.cluster().nodes(),
            map.cluster().nodes() == 1 ? "" : "s",
            map.cluster().devices(),
            map.cluster().devices() == 1 ? "" : "s")
        + (trace.isBlank()
            ? format(
                "Tokens drawn: zipf %s, drift %s, correlation %s; %d steps.",
                result.config().simulate().zipf(),
                result.config().simulate().drift(),
                result.config().simulate().correlation(),
                result.stepNumbers().size())
            : format(
                "Tokens of %s, steps %d to %d.",
                trace, result.stepNumbers().getFirst(), result.stepNumbers().getLast()));
  }

  private static String tiles(SimulationResult result) {
    StringBuilder tiles = new StringBuilder();
    for (SimulationResult.OfRouter router : result.routers()) {
      SimulationResult.OfFactor enough = enough(router);
      tiles.append(
          Page.tile(
              Keys.name(router.type()) + ": capacity for less than 1 % dropped",
              enough == null ? "more than these" : Names.ofFactor(enough.factor()),
              "",
              enough == null
                  ? "see simulate.factors"
                  : format(
                      "step %s ms, fullest device %s GB",
                      SimulationTable.size(enough.time().total() * 1e3),
                      SimulationTable.size(enough.memory().total() / 1e9))));
      tiles.append(
          Page.tile(
              Keys.name(router.type()) + ": busiest expert",
              format("%.2f", router.load().imbalance()),
              "x mean",
              SimulationTable.trimmed(router.load().dead()) + " experts idle in a step"));
    }
    return tiles.toString();
  }

  /** The least capacity at which few are dropped, or {@code null}. */
  private static SimulationResult.OfFactor enough(SimulationResult.OfRouter router) {
    SimulationResult.OfFactor least = null;
    for (SimulationResult.OfFactor factor : router.factors()) {
      boolean fewer =
          least == null
              || !factor.isDropless() && (least.isDropless() || factor.factor() < least.factor());
      if (factor.dropRate() < FEW && fewer) {
        least = factor;
      }
    }
    return least;
  }

  private static String table(SimulationResult result) {
    StringBuilder rows = new StringBuilder();
    for (SimulationResult.OfRouter router : result.routers()) {
      for (SimulationResult.OfFactor factor : router.factors()) {
        rows.append("<tr>");
        for (String cell :
            List.of(
                Keys.name(router.type()),
                Names.ofFactor(factor.factor()),
                factor.isDropless() ? "all" : format("%,d", factor.rows()),
                format("%.3f", 100 * factor.dropRate()),
                format("%.3f", 100 * factor.rerouteRate()),
                format("%,d", factor.overflowing()),
                SimulationTable.size(factor.bytes(factor.withinDevice()) / 1e6),
                SimulationTable.size(factor.bytes(factor.withinNode()) / 1e6),
                SimulationTable.size(factor.bytes(factor.betweenNodes()) / 1e6),
                SimulationTable.size(factor.memory().total() / 1e9),
                SimulationTable.size(factor.time().total() * 1e3))) {
          rows.append("<td>").append(Page.escape(cell)).append("</td>");
        }
        rows.append("</tr>\n");
      }
    }
    return rows.toString();
  }

  private static Map<String, Object> router(
      SimulationResult result, SimulationResult.OfRouter router) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("name", Keys.name(router.type()));
    json.put("factors", router.factors().stream().map(f -> Names.ofFactor(f.factor())).toList());
    json.put("dropped", numbers(router, f -> 100 * f.dropRate()));
    json.put("rerouted", numbers(router, f -> 100 * f.rerouteRate()));
    json.put("memory", numbers(router, f -> f.memory().total() / 1e9));
    json.put("step", numbers(router, f -> f.time().total() * 1e3));
    Map<String, Object> parts = new LinkedHashMap<>();
    for (String part : StepTime.NONE.parts().keySet()) {
      parts.put(part, numbers(router, f -> f.time().parts().get(part) * 1e3));
    }
    json.put("parts", parts);
    json.put("sorted", sorted(router));
    json.put("load", loadMaps(router));
    json.put(
        "overflow",
        router.factors().stream()
            .filter(f -> !f.isDropless() && f.overflowing() > 0)
            .map(f -> List.of(Names.ofFactor(f.factor()), overflow(result, router, f)))
            .toList());
    return json;
  }

  private interface Measure {
    double of(SimulationResult.OfFactor factor);
  }

  private static List<BigDecimal> numbers(SimulationResult.OfRouter router, Measure measure) {
    return router.factors().stream().map(f -> number(measure.of(f))).toList();
  }

  private static BigDecimal number(double value) {
    return new BigDecimal(value).round(DIGITS).stripTrailingZeros();
  }

  /**
   * Loads over the mean from the busiest expert down, all steps together: share of experts, load.
   */
  private static List<List<BigDecimal>> sorted(SimulationResult.OfRouter router) {
    List<double[]> loads_L = new ArrayList<>();
    int layers = router.routed_SLE().getFirst().length;
    for (int layer = 0; layer < layers; layer++) {
      loads_L.add(load(router.routed_SLE(), layer, 0, router.routed_SLE().size()));
    }
    double[] all = loads_L.stream().flatMapToDouble(Arrays::stream).sorted().toArray();
    List<List<BigDecimal>> points = new ArrayList<>();
    for (int i = 0; i <= CURVE; i++) {
      int at = (int) Math.round((double) i / CURVE * (all.length - 1));
      points.add(List.of(number(100.0 * i / CURVE), number(all[all.length - 1 - at])));
    }
    return points;
  }

  /** Load of each expert over the mean, in steps {@code [from, to)}. */
  private static double[] load(List<long[][]> routed_SLE, int layer, int from, int to) {
    double[] load_E = new double[routed_SLE.getFirst()[layer].length];
    double sum = 0;
    for (int step = from; step < to; step++) {
      for (int e = 0; e < load_E.length; e++) {
        load_E[e] += routed_SLE.get(step)[layer][e];
        sum += routed_SLE.get(step)[layer][e];
      }
    }
    for (int e = 0; e < load_E.length; e++) {
      load_E[e] *= sum == 0 ? 0 : load_E.length / sum;
    }
    return load_E;
  }

  private static int expertsOfRow(SimulationResult result) {
    return Math.ceilDiv(result.map().experts(), MOST_ROWS);
  }

  private static int stepsOfColumn(int steps) {
    return Math.ceilDiv(steps, MOST_COLUMNS);
  }

  private static List<Long> stepLabels(SimulationResult result) {
    List<Long> labels = new ArrayList<>();
    int width = stepsOfColumn(result.stepNumbers().size());
    for (int step = 0; step < result.stepNumbers().size(); step += width) {
      labels.add(result.stepNumbers().get(step));
    }
    return labels;
  }

  /** Load by layer, column of steps, and row of neighbouring experts. */
  private static List<List<List<BigDecimal>>> loadMaps(SimulationResult.OfRouter router) {
    List<List<List<BigDecimal>>> maps = new ArrayList<>();
    int steps = router.routed_SLE().size();
    int width = stepsOfColumn(steps);
    for (int layer = 0; layer < router.routed_SLE().getFirst().length; layer++) {
      List<List<BigDecimal>> columns = new ArrayList<>();
      for (int step = 0; step < steps; step += width) {
        columns.add(means(load(router.routed_SLE(), layer, step, Math.min(steps, step + width))));
      }
      maps.add(columns);
    }
    return maps;
  }

  private static List<BigDecimal> means(double[] values_E) {
    int width = Math.ceilDiv(values_E.length, MOST_ROWS);
    List<BigDecimal> means = new ArrayList<>();
    for (int from = 0; from < values_E.length; from += width) {
      int to = Math.min(values_E.length, from + width);
      means.add(number(Arrays.stream(values_E, from, to).average().orElse(0)));
    }
    return means;
  }

  /** What each expert had no room for, in per cent of all rows. */
  private static List<BigDecimal> overflow(
      SimulationResult result, SimulationResult.OfRouter router, SimulationResult.OfFactor factor) {
    double all = factor.ledger().routed();
    double[] share_E =
        Arrays.stream(factor.overflow_E()).mapToDouble(rows -> 100 * rows / all).toArray();
    int width = expertsOfRow(result);
    List<BigDecimal> sums = new ArrayList<>();
    for (int from = 0; from < share_E.length; from += width) {
      sums.add(number(Arrays.stream(share_E, from, Math.min(share_E.length, from + width)).sum()));
    }
    return sums;
  }

  private static String format(String pattern, Object... values) {
    return String.format(Locale.ROOT, pattern, values);
  }
}
