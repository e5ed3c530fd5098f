package troupe.coordinator.simulate;

import java.util.ArrayList;
import java.util.List;
import troupe.core.config.ConfigLoader;
import troupe.core.config.RunConfig;

/** Small simulations for tests. */
final class Simulations {
  private static final List<String> SMALL =
      List.of(
          "gate.type=softmax-topk",
          "gate.top_k=2",
          "experts.count=16",
          "simulate.tokens=3000",
          "simulate.steps=3",
          "simulate.group=256",
          "simulate.cluster.nodes=2",
          "simulate.cluster.devices=4",
          "simulate.factors=[1, 1.5, 0]");

  private Simulations() {}

  static RunConfig config(String... overrides) {
    List<String> all = new ArrayList<>(SMALL);
    all.addAll(List.of(overrides));
    return ConfigLoader.parse("", all);
  }

  static SimulationResult run(int threads, RunConfig config) {
    return Simulation.run(config, Speeds.of(config), threads, (tokens, of) -> {});
  }

  static SimulationResult run(String... overrides) {
    return run(2, config(overrides));
  }
}
