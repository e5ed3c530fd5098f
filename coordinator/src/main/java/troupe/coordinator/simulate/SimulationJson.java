package troupe.coordinator.simulate;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import troupe.core.config.Keys;
import troupe.router.gate.Ledger;

/** A simulation as JSON with snake-case keys; times in milliseconds, sizes in bytes. */
final class SimulationJson {
  /** Experts whose overflow is listed one by one. */
  private static final int MOST_LISTED = 4096;

  private static final Gson GSON = new GsonBuilder().setPrettyPrinting().create();

  private SimulationJson() {}

  static String of(SimulationResult result) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("experts", result.map().experts());
    json.put("layers", result.layers() * result.layersEach());
    json.put("simulated_layers", result.layers());
    json.put("tokens", result.map().tokens());
    json.put("group", result.groupTokens());
    json.put("ranks", result.map().ranks());
    json.put("steps", result.stepNumbers());
    json.put("steps_left_out", result.leftOut());
    json.put("nodes", result.map().cluster().nodes());
    json.put("devices", result.map().devices());
    json.put("seed", result.config().seed());
    json.put("trace", result.config().simulate().trace());
    json.put("zipf", result.config().simulate().zipf());
    json.put("drift", result.config().simulate().drift());
    json.put("correlation", result.config().simulate().correlation());
    json.put("speeds_seconds", speeds(result.speeds()));
    List<Object> routers = new ArrayList<>();
    result.routers().forEach(router -> routers.add(router(router)));
    json.put("routers", routers);
    return GSON.toJson(json) + "\n";
  }

  private static Map<String, Object> speeds(Speeds speeds) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("expert_forward_row", speeds.expertForwardRow());
    json.put("expert_forward_batch", speeds.expertForwardBatch());
    json.put("expert_backward_row", speeds.expertBackwardRow());
    json.put("expert_backward_batch", speeds.expertBackwardBatch());
    json.put("trunk_forward_token", speeds.trunkForward());
    json.put("trunk_backward_token", speeds.trunkBackward());
    json.put("router_forward_token", speeds.routerForward());
    json.put("router_backward_token", speeds.routerBackward());
    json.put("dispatch_row", speeds.dispatchRow());
    json.put("combine_row", speeds.combineRow());
    json.put("return_row", speeds.returnRow());
    json.put("optimizer_parameter", speeds.optimizerParameter());
    json.put("control_step", speeds.control());
    return json;
  }

  private static Map<String, Object> router(SimulationResult.OfRouter router) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("router", Keys.name(router.type()));
    json.put("slots_per_token", router.slotsPerToken());
    Map<String, Object> load = new LinkedHashMap<>();
    load.put("imbalance", router.load().imbalance());
    load.put("worst", router.load().worst());
    load.put("levels", LoadSummary.LEVELS);
    load.put("quantiles", router.load().quantiles());
    load.put("dead_experts", router.load().dead());
    load.put("never_chosen", router.load().neverChosen());
    json.put("load", load);
    List<Object> factors = new ArrayList<>();
    router.factors().forEach(factor -> factors.add(factor(factor)));
    json.put("factors", factors);
    return json;
  }

  private static Map<String, Object> factor(SimulationResult.OfFactor factor) {
    Map<String, Object> json = new LinkedHashMap<>();
    json.put("factor", factor.factor());
    json.put("rows_of_expert", factor.isDropless() ? null : factor.rows());
    Ledger ledger = factor.ledger();
    json.put("routed", ledger.routed());
    json.put("kept", ledger.kept());
    json.put("dropped", ledger.dropped());
    json.put("rerouted", ledger.rerouted());
    json.put("drop_rate", factor.dropRate());
    json.put("drop_rate_of_steps", factor.dropRates());
    json.put("overflowing_experts", factor.overflowing());
    if (factor.overflow_E().length <= MOST_LISTED) {
      json.put("overflow", factor.overflow_E());
    }
    Map<String, Object> bytes = new LinkedHashMap<>();
    bytes.put("within_device", factor.bytes(factor.withinDevice()));
    bytes.put("within_node", factor.bytes(factor.withinNode()));
    bytes.put("between_nodes", factor.bytes(factor.betweenNodes()));
    json.put("bytes_of_step", bytes);
    Map<String, Object> memory = new LinkedHashMap<>();
    memory.put("experts", factor.memory().experts());
    memory.put("trunk", factor.memory().trunk());
    memory.put("rows", factor.memory().rows());
    memory.put("rows_reserved", factor.memory().reserved());
    memory.put("tokens", factor.memory().tokens());
    memory.put("total", factor.memory().total());
    json.put("device_memory", memory);
    Map<String, Object> time = new LinkedHashMap<>();
    factor.time().parts().forEach((part, seconds) -> time.put(part, seconds * 1e3));
    time.put("total", factor.time().total() * 1e3);
    json.put("step_ms", time);
    return json;
  }
}
