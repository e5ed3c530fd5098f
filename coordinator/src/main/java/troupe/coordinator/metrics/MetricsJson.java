package troupe.coordinator.metrics;

import com.google.gson.Gson;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Stream;
import troupe.router.gate.Ledger;

/**
 * Metrics as lines of JSON with snake-case keys. JSON knows no NaN or infinity: both are written as
 * null, read as NaN.
 */
final class MetricsJson {
  private static final Gson GSON = new Gson();

  private MetricsJson() {}

  /** One line without its line break. */
  static String toLine(MetricsRecord metrics) {
    JsonObject json = new JsonObject();
    json.addProperty("step", metrics.step());
    switch (metrics) {
      case ValidationMetrics validation -> JsonNumbers.put(json, "val_loss", validation.valLoss());
      case StepMetrics step -> put(json, step);
      case PlacementMetrics placement -> put(json, placement);
    }
    return json.toString();
  }

  /** The record of a line; empty if it is torn or none of ours. */
  static Optional<MetricsRecord> parse(String line) {
    try {
      JsonObject json = JsonParser.parseString(line).getAsJsonObject();
      long step = field(json, "step").getAsLong();
      if (json.has("val_loss")) {
        return Optional.of(new ValidationMetrics(step, number(json, "val_loss")));
      }
      if (json.has("placement")) {
        return Optional.of(placement(step, json));
      }
      return Optional.of(
          new StepMetrics(
              step,
              number(json, "loss"),
              number(json, "ce"),
              number(json, "balance"),
              number(json, "z"),
              // Files from before it was reported have none.
              json.has("penalty") ? number(json, "penalty") : 0,
              number(json, "lr"),
              number(json, "grad_norm"),
              number(json, "tokens_per_s"),
              number(json, "step_time_ms"),
              number(json, "dropped"),
              number(json, "alive"),
              number(json, "imbalance"),
              ledger(json),
              load(field(json, "load").getAsJsonArray())));
    } catch (JsonParseException
        | IllegalStateException
        | NumberFormatException
        | ClassCastException
        | UnsupportedOperationException e) {
      return Optional.empty();
    }
  }

  private static void put(JsonObject json, StepMetrics step) {
    JsonNumbers.put(json, "loss", step.loss());
    JsonNumbers.put(json, "ce", step.ce());
    JsonNumbers.put(json, "balance", step.balance());
    JsonNumbers.put(json, "z", step.z());
    JsonNumbers.put(json, "penalty", step.penalty());
    JsonNumbers.put(json, "lr", step.lr());
    JsonNumbers.put(json, "grad_norm", step.gradNorm());
    JsonNumbers.put(json, "tokens_per_s", step.tokensPerS());
    JsonNumbers.put(json, "step_time_ms", step.stepTimeMs());
    JsonNumbers.put(json, "dropped", step.dropped());
    JsonNumbers.put(json, "alive", step.alive());
    JsonNumbers.put(json, "imbalance", step.imbalance());
    json.add("ledger", GSON.toJsonTree(step.ledger_L()));
    JsonArray layers = new JsonArray();
    for (long[] load_E : step.load_LE()) {
      JsonArray experts = new JsonArray();
      for (long tokens : load_E) {
        experts.add(tokens);
      }
      layers.add(experts);
    }
    json.add("load", layers);
  }

  private static void put(JsonObject json, PlacementMetrics placement) {
    json.addProperty("epoch", placement.epoch());
    JsonObject nodes = new JsonObject();
    placement.nodes().forEach((name, owners) -> nodes.add(name, GSON.toJsonTree(owners)));
    json.add("placement", nodes);
  }

  private static PlacementMetrics placement(long step, JsonObject json) {
    SortedMap<String, PlacementMetrics.Owners> nodes = new TreeMap<>();
    JsonObject byName = field(json, "placement").getAsJsonObject();
    for (String name : byName.keySet()) {
      JsonObject owners = byName.getAsJsonObject(name);
      nodes.put(
          name,
          new PlacementMetrics.Owners(
              elements(owners, "ranks").map(JsonElement::getAsInt).toList(),
              elements(owners, "experts").map(JsonElement::getAsString).toList()));
    }
    return new PlacementMetrics(field(json, "epoch").getAsInt(), step, nodes);
  }

  private static Stream<JsonElement> elements(JsonObject json, String name) {
    return field(json, name).getAsJsonArray().asList().stream();
  }

  private static double number(JsonObject json, String name) {
    return JsonNumbers.number(field(json, name));
  }

  private static JsonElement field(JsonObject json, String name) {
    JsonElement value = json.get(name);
    if (value == null) {
      throw new JsonParseException(name + " is missing");
    }
    return value;
  }

  /** Files from before there was a ledger have none. */
  private static List<Ledger> ledger(JsonObject json) {
    return json.has("ledger")
        ? elements(json, "ledger").map(layer -> ledgerOf(layer.getAsJsonObject())).toList()
        : List.of();
  }

  private static Ledger ledgerOf(JsonObject layer) {
    return new Ledger(
        field(layer, "routed").getAsLong(),
        field(layer, "kept").getAsLong(),
        field(layer, "dropped").getAsLong(),
        field(layer, "rerouted").getAsLong());
  }

  private static long[][] load(JsonArray layers) {
    long[][] load_LE = new long[layers.size()][];
    for (int layer = 0; layer < load_LE.length; layer++) {
      List<JsonElement> experts = layers.get(layer).getAsJsonArray().asList();
      load_LE[layer] = experts.stream().mapToLong(JsonElement::getAsLong).toArray();
    }
    return load_LE;
  }
}
