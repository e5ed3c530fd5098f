package troupe.core.config;

import java.util.List;

/**
 * What {@code troupe simulate} asks.
 *
 * @param tokens of a step over all ranks
 * @param steps steps; of a trace at most so many. 0 = all that a trace has; of drawn tokens a few,
 *     the fewer the larger a step is
 * @param ranks routers that share the tokens; 0 = one for each lane of each device
 * @param group tokens that are routed together, of which capacity is a share; 0 = the tokens of a
 *     rank, within bounds
 * @param zipf exponent of the experts' popularity
 * @param drift share of the experts that change their rank in popularity from step to step
 * @param correlation probability that a token shares the preferences of its passage
 * @param passage tokens of a passage
 * @param sharpness factor on all logits
 * @param trace folder of a run that was trained with {@code gate.trace}; empty = drawn tokens
 * @param factors capacity factors to compare; 0 = dropless
 * @param routers gates to compare, by their names; empty = {@code gate.type}
 */
public record SimulateConfig(
    int tokens,
    int steps,
    int ranks,
    int group,
    double zipf,
    double drift,
    double correlation,
    int passage,
    double sharpness,
    String trace,
    List<Double> factors,
    List<String> routers,
    SimulatedCluster cluster) {
  public SimulateConfig {
    factors = List.copyOf(factors);
    routers = List.copyOf(routers);
    Expect expect =
        new Expect("simulate")
            .that(tokens >= 1, "tokens", tokens, ">= 1")
            .that(steps >= 0, "steps", steps, ">= 0; 0 = all of a trace, a few of drawn tokens")
            .that(ranks >= 0, "ranks", ranks, ">= 0; 0 = one for each lane of each device")
            .that(group >= 0, "group", group, ">= 0; 0 = the tokens of a rank")
            .that(zipf >= 0, "zipf", zipf, ">= 0; 0 = all experts alike")
            .that(drift >= 0 && drift <= 1, "drift", drift, "from 0 to 1")
            .that(correlation >= 0 && correlation <= 1, "correlation", correlation, "from 0 to 1")
            .that(passage >= 1, "passage", passage, ">= 1")
            .that(sharpness > 0, "sharpness", sharpness, "> 0")
            .that(!factors.isEmpty(), "factors", factors, "at least one, such as [1.0, 1.25]");
    for (double factor : factors) {
      expect.that(factor >= 0, "factors", factor, ">= 0; 0 = dropless");
    }
    for (String router : routers) {
      expect.that(
          Keys.value(GateType.class, router).isPresent(),
          "routers",
          router,
          "one of " + Keys.names(GateType.class));
    }
    expect.orThrow();
  }

  /** The gates to compare. */
  public List<GateType> routersOr(GateType type) {
    return routers.isEmpty()
        ? List.of(type)
        : routers.stream()
            .map(name -> (GateType) Keys.value(GateType.class, name).orElseThrow())
            .toList();
  }

  /**
   * The machines of a simulation, all alike.
   *
   * @param nodes machines
   * @param devices of a node
   * @param lanes threads of a device that compute side by side, such as the cores of a CPU
   * @param expertsOn how experts are spread over devices
   * @param elementBytes of an activation that travels
   * @param measure whether the speeds below are measured on this machine instead
   * @param expertFlops of an expert's matrix products in a second, on one lane
   * @param batchSeconds what each batch costs an expert beside its rows, forward or backward
   * @param trunkFlops of the trunk's matrix products in a second, on one lane
   * @param gateSeconds what a gate costs for one logit, forward and backward
   * @param memoryBandwidth of a lane, bytes read and written in a second
   * @param controlSeconds what coordination costs a step
   * @param linkBandwidth of a device to others of its node, bytes a second in each direction
   * @param linkLatency seconds of an exchange within a node
   * @param networkBandwidth of a node to others, bytes a second in each direction
   * @param networkLatency seconds of an exchange between nodes
   * @param memoryBytes of a device; 0 = not looked at
   */
  public record SimulatedCluster(
      int nodes,
      int devices,
      int lanes,
      ExpertsOn expertsOn,
      int elementBytes,
      boolean measure,
      double expertFlops,
      double batchSeconds,
      double trunkFlops,
      double gateSeconds,
      double memoryBandwidth,
      double controlSeconds,
      double linkBandwidth,
      double linkLatency,
      double networkBandwidth,
      double networkLatency,
      long memoryBytes) {
    private static final int MOST_DEVICES = 1 << 20;

    public SimulatedCluster {
      new Expect("simulate.cluster")
          .that(nodes >= 1, "nodes", nodes, ">= 1")
          .that(devices >= 1, "devices", devices, ">= 1")
          .that(
              (long) nodes * devices <= MOST_DEVICES,
              "devices",
              devices,
              "nodes * devices <= " + MOST_DEVICES)
          .that(lanes >= 1, "lanes", lanes, ">= 1")
          .that(elementBytes >= 1, "element_bytes", elementBytes, ">= 1")
          .that(expertFlops > 0, "expert_flops", expertFlops, "> 0")
          .that(batchSeconds >= 0, "batch_seconds", batchSeconds, ">= 0")
          .that(trunkFlops > 0, "trunk_flops", trunkFlops, "> 0")
          .that(gateSeconds >= 0, "gate_seconds", gateSeconds, ">= 0")
          .that(memoryBandwidth > 0, "memory_bandwidth", memoryBandwidth, "> 0")
          .that(controlSeconds >= 0, "control_seconds", controlSeconds, ">= 0")
          .that(linkBandwidth > 0, "link_bandwidth", linkBandwidth, "> 0")
          .that(linkLatency >= 0, "link_latency", linkLatency, ">= 0")
          .that(networkBandwidth > 0, "network_bandwidth", networkBandwidth, "> 0")
          .that(networkLatency >= 0, "network_latency", networkLatency, ">= 0")
          .that(memoryBytes >= 0, "memory_bytes", memoryBytes, ">= 0; 0 = not looked at")
          .orThrow();
    }

    /** Devices of all nodes. */
    public int allDevices() {
      return nodes * devices;
    }
  }

  /** How experts are spread over devices. */
  public enum ExpertsOn {
    /** Neighbours together: expert e on device {@code e * devices / experts}. */
    CONTIGUOUS,
    /** One after the other: expert e on device {@code e mod devices}. */
    STRIDED
  }
}
