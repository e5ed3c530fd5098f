package troupe.coordinator.simulate;

import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import troupe.core.config.Keys;
import troupe.core.config.SimulateConfig;

/** A simulation as a table for a terminal. */
final class SimulationTable {
  private static final double MB = 1e6;
  private static final double GB = 1e9;

  private final StringBuilder text = new StringBuilder();

  private SimulationTable() {}

  static String of(SimulationResult result) {
    SimulationTable table = new SimulationTable();
    table.head(result);
    for (SimulationResult.OfRouter router : result.routers()) {
      table.router(result, router);
    }
    String trace = result.config().simulate().trace();
    if (!trace.isBlank()) {
      RunItself.of(Path.of(trace), result.stepNumbers())
          .ifPresent(run -> table.runItself(run, result));
    }
    return table.text.toString();
  }

  private void head(SimulationResult result) {
    SimulateConfig simulate = result.config().simulate();
    ClusterMap map = result.map();
    line(
        "%,d experts in each of %d layers, %,d tokens a step in groups of %,d, %d steps",
        map.experts(),
        result.layers() * result.layersEach(),
        map.tokens(),
        result.groupTokens(),
        result.stepNumbers().size());
    if (simulate.trace().isBlank()) {
      line(
          "drawn: zipf %s, drift %s, correlation %s, seed %d; one layer stands for all",
          simulate.zipf(), simulate.drift(), simulate.correlation(), result.config().seed());
    } else {
      line(
          "trace %s, steps %d to %d%s",
          simulate.trace(),
          result.stepNumbers().getFirst(),
          result.stepNumbers().getLast(),
          result.leftOut() == 0 ? "" : "; left out, not whole: " + result.leftOut());
    }
    line(
        "%d node%s x %d device%s x %d lane%s, %d rank%s, experts %s",
        map.cluster().nodes(),
        plural(map.cluster().nodes()),
        map.cluster().devices(),
        plural(map.cluster().devices()),
        map.cluster().lanes(),
        plural(map.cluster().lanes()),
        map.ranks(),
        plural(map.ranks()),
        map.cluster().expertsOn().name().toLowerCase(Locale.ROOT));
  }

  private static String plural(long count) {
    return count == 1 ? "" : "s";
  }

  private void router(SimulationResult result, SimulationResult.OfRouter router) {
    LoadSummary load = router.load();
    double[] q = load.quantiles();
    line("");
    line(
        "%s, %s expert%s a token",
        Keys.name(router.type()),
        trimmed(router.slotsPerToken()),
        router.slotsPerToken() == 1 ? "" : "s");
    line(
        "  load of an expert over the mean: busiest %.2f (worst %.2f); quantiles 1%% %.2f, 10%% %.2f,"
            + " 50%% %.2f, 90%% %.2f, 99%% %.2f",
        load.imbalance(), load.worst(), q[1], q[2], q[4], q[6], q[7]);
    line(
        "  experts that nobody chose: %s in a step, %s in any",
        trimmed(load.dead()), trimmed(load.neverChosen()));
    line("");
    line(
        "  %9s %9s %9s %9s %8s | %9s %9s %9s | %8s",
        "capacity",
        "rows",
        "dropped",
        "rerouted",
        "experts",
        "device",
        "node",
        "network",
        "memory");
    line(
        "  %9s %9s %9s %9s %8s | %9s %9s %9s | %8s",
        "factor", "of each", "%", "%", "over", "MB", "MB", "MB", "GB");
    for (SimulationResult.OfFactor factor : router.factors()) {
      line(
          "  %9s %9s %9.3f %9.3f %8d | %9s %9s %9s | %8s%s",
          Names.ofFactor(factor.factor()),
          factor.isDropless() ? "all" : String.format(Locale.ROOT, "%,d", factor.rows()),
          100 * factor.dropRate(),
          100 * factor.rerouteRate(),
          factor.overflowing(),
          size(factor.bytes(factor.withinDevice()) / MB),
          size(factor.bytes(factor.withinNode()) / MB),
          size(factor.bytes(factor.betweenNodes()) / MB),
          size(factor.memory().total() / GB),
          tooMuch(result, factor));
    }
    times(router.factors());
  }

  private void runItself(RunItself run, SimulationResult result) {
    line("");
    line(
        "the run itself, %s with capacity factor %s: %.3f %% dropped, %s ms a step (median)",
        run.router(), Names.ofFactor(run.factor()), 100 * run.dropRate(), size(run.stepMs()));
    for (SimulationResult.OfRouter router : result.routers()) {
      for (SimulationResult.OfFactor factor : router.factors()) {
        if (Keys.name(router.type()).equals(run.router()) && factor.factor() == run.factor()) {
          double ms = factor.time().total() * 1e3;
          line(
              "predicted: %.3f %% dropped, %s ms a step: off by %+.3f points and %+.1f %%",
              100 * factor.dropRate(),
              size(ms),
              100 * (factor.dropRate() - run.dropRate()),
              100 * (ms / run.stepMs() - 1));
        }
      }
    }
  }

  private static String tooMuch(SimulationResult result, SimulationResult.OfFactor factor) {
    long most = result.map().cluster().memoryBytes();
    return most > 0 && factor.memory().total() > most
        ? "  more than a device's " + size(most / GB)
        : "";
  }

  private void times(List<SimulationResult.OfFactor> factors) {
    List<String> parts = List.copyOf(StepTime.NONE.parts().keySet());
    line("");
    line(
        "  %9s %9s | %s",
        "capacity", "step", parts.stream().map(part -> pad(part)).collect(Collectors.joining(" ")));
    line(
        "  %9s %9s | %s",
        "factor", "ms", parts.stream().map(part -> pad("ms")).collect(Collectors.joining(" ")));
    for (SimulationResult.OfFactor factor : factors) {
      line(
          "  %9s %9s | %s",
          Names.ofFactor(factor.factor()),
          size(factor.time().total() * 1e3),
          factor.time().parts().values().stream()
              .map(seconds -> pad(size(seconds * 1e3)))
              .collect(Collectors.joining(" ")));
    }
  }

  private static String pad(String cell) {
    return String.format(Locale.ROOT, "%9s", cell);
  }

  /** Four digits, as many of them behind the point as fit. */
  static String size(double value) {
    if (value == 0) {
      return "0";
    }
    int decimals = value >= 1000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
    return String.format(Locale.ROOT, "%,." + decimals + "f", value);
  }

  static String trimmed(double value) {
    return value == Math.rint(value)
        ? String.format(Locale.ROOT, "%,d", (long) value)
        : String.format(Locale.ROOT, "%.2f", value);
  }

  private void line(String pattern, Object... values) {
    text.append(String.format(Locale.ROOT, pattern, values)).append('\n');
  }
}
