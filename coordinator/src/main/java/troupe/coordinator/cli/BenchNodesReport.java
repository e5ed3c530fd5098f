package troupe.coordinator.cli;

import com.google.gson.Gson;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import troupe.coordinator.bench.NodesPlan;
import troupe.coordinator.bench.NodesResult;
import troupe.coordinator.bench.RunTiming;
import troupe.coordinator.bench.Spread;

/** What {@code troupe bench nodes} found, for people and for programs. */
final class BenchNodesReport {
  private static final String PAIR_ROW = "%6s %11s %11s %11s %10s %12s%n";
  private static final String SPREAD_ROW = "%-6s %11s %11s %14s %11s%n";

  private final NodesPlan plan;
  private final NodesResult result;

  BenchNodesReport(NodesPlan plan, NodesResult result) {
    this.plan = plan;
    this.result = result;
  }

  /** Each pair, then what each way is like. */
  String table() {
    StringBuilder table = new StringBuilder("\ntokens/s\n");
    row(table, PAIR_ROW, "pair", "one", "many", "copies", "many/one", "copies/many");
    for (int i = 0; i < result.pairs().size(); i++) {
      NodesResult.Pair pair = result.pairs().get(i);
      row(
          table,
          PAIR_ROW,
          i + 1,
          tokens(pair.of(Spread.ONE).tokensPerSecond()),
          tokens(pair.of(Spread.MANY).tokensPerSecond()),
          tokens(pair.of(Spread.COPIES).tokensPerSecond()),
          percent(pair.manyPercent()),
          percent(pair.copiesPercent()));
    }
    row(
        table,
        PAIR_ROW,
        "median",
        tokens(result.median(Spread.ONE, RunTiming::tokensPerSecond)),
        tokens(result.median(Spread.MANY, RunTiming::tokensPerSecond)),
        tokens(result.median(Spread.COPIES, RunTiming::tokensPerSecond)),
        percent(result.median(NodesResult.Pair::manyPercent)),
        percent(result.median(NodesResult.Pair::copiesPercent)));
    table.append("\nmedians\n");
    row(table, SPREAD_ROW, "", "tokens/s", "ms a step", "between steps", "transport");
    for (Spread spread : Spread.values()) {
      row(
          table,
          SPREAD_ROW,
          spread.word(),
          tokens(result.median(spread, RunTiming::tokensPerSecond)),
          String.format(Locale.ROOT, "%.2f", result.median(spread, RunTiming::medianStepMs)),
          percent(result.median(spread, RunTiming::betweenStepsPercent)),
          spread == Spread.ONE ? "-" : percent(result.median(spread, RunTiming::transportPercent)));
    }
    return table.toString();
  }

  /** All of it in one line; ratios and shares are numbers from 0 on, 1 is the whole. */
  String json() {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("bench", "nodes");
    json.put("nodes", plan.nodes());
    json.put("threads", plan.threads());
    json.put("warm_up_steps", plan.warmUp());
    json.put("steps", plan.steps());
    json.put("tokens_per_step", plan.tokensPerStep());
    json.put("device", plan.run().device());
    json.put("transport", plan.run().transport().mode().name().toLowerCase(Locale.ROOT));
    json.put("replicate_every", plan.run().replicate().every());
    json.put("replicate_copies", plan.copies());
    json.put("many_over_one", share(result.median(NodesResult.Pair::manyPercent)));
    json.put("copies_over_many", share(result.median(NodesResult.Pair::copiesPercent)));
    for (Spread spread : Spread.values()) {
      json.put(spread.word(), medians(spread));
    }
    List<Map<String, Long>> pairs = new ArrayList<>();
    for (NodesResult.Pair pair : result.pairs()) {
      Map<String, Long> tokensPerSecond = new LinkedHashMap<>();
      for (Spread spread : Spread.values()) {
        tokensPerSecond.put(spread.word(), Math.round(pair.of(spread).tokensPerSecond()));
      }
      pairs.add(tokensPerSecond);
    }
    json.put("pairs_tokens_per_s", pairs);
    json.put("hash", result.hash());
    json.put("same_hash", result.differences().isEmpty());
    return new Gson().toJson(json);
  }

  private Map<String, Object> medians(Spread spread) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("tokens_per_s", Math.round(result.median(spread, RunTiming::tokensPerSecond)));
    json.put(
        "tokens_per_s_in_steps",
        Math.round(result.median(spread, RunTiming::tokensPerSecondInSteps)));
    json.put("step_ms", round(result.median(spread, RunTiming::medianStepMs)));
    json.put("between_steps", share(result.median(spread, RunTiming::betweenStepsPercent)));
    if (spread != Spread.ONE) {
      json.put("transport", share(result.median(spread, RunTiming::transportPercent)));
    }
    return json;
  }

  private static void row(StringBuilder table, String format, Object... cells) {
    table.append(String.format(Locale.ROOT, format, cells));
  }

  private static String tokens(double perSecond) {
    return String.format(Locale.ROOT, "%,.0f", perSecond);
  }

  private static String percent(double value) {
    return String.format(Locale.ROOT, "%.1f %%", value);
  }

  private static double share(double percent) {
    return round(percent / 100);
  }

  private static double round(double value) {
    return Math.round(value * 1e4) / 1e4;
  }
}
