package troupe.coordinator.simulate;

import java.util.List;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;
import troupe.router.gate.Ledger;

/**
 * The answer of a simulation.
 *
 * @param groupTokens most tokens that were routed together
 * @param layersEach layers of the model that each simulated one stands for
 * @param stepNumbers the simulated steps
 * @param leftOut steps of a trace that were not whole
 * @param seconds that the simulation took
 */
record SimulationResult(
    RunConfig config,
    ClusterMap map,
    Speeds speeds,
    int groupTokens,
    int layers,
    int layersEach,
    List<Long> stepNumbers,
    int leftOut,
    double seconds,
    List<OfRouter> routers) {

  /**
   * What one router did.
   *
   * @param slotsPerToken mean number of experts that a token was sent to
   * @param routed_SLE rows that each expert was chosen for, by step, layer and expert
   */
  record OfRouter(
      GateType type,
      double slotsPerToken,
      LoadSummary load,
      List<long[][]> routed_SLE,
      List<OfFactor> factors) {}

  /**
   * What one capacity factor made of it.
   *
   * @param rows an expert takes of a group; {@link Integer#MAX_VALUE} if there is no limit
   * @param ledger of all steps and simulated layers
   * @param overflow_E rows that each expert had no room for, over all steps and simulated layers
   * @param ledger_S the same of each step
   * @param withinDevice rows of a step, over all layers of the model, that stay on their device
   * @param withinNode that go to another device of the node
   * @param betweenNodes that go to another node
   * @param rowBytes of a row that travels; it does so four times a step
   */
  record OfFactor(
      double factor,
      int rows,
      Ledger ledger,
      List<Ledger> ledger_S,
      long[] overflow_E,
      double withinDevice,
      double withinNode,
      double betweenNodes,
      double rowBytes,
      DeviceMemory memory,
      StepTime time) {
    /** Share of the rows that were dropped. */
    double dropRate() {
      return ledger.routed() == 0 ? 0 : (double) ledger.dropped() / ledger.routed();
    }

    /** Share of the rows that were dropped, by step. */
    double[] dropRates() {
      return ledger_S.stream()
          .mapToDouble(step -> step.routed() == 0 ? 0 : (double) step.dropped() / step.routed())
          .toArray();
    }

    /** Share of the rows that another expert took. */
    double rerouteRate() {
      return ledger.routed() == 0 ? 0 : (double) ledger.rerouted() / ledger.routed();
    }

    /** Whether there is no limit. */
    boolean isDropless() {
      return factor == 0;
    }

    /** Experts that had too little room at least once. */
    long overflowing() {
      long count = 0;
      for (long rows : overflow_E) {
        count += rows > 0 ? 1 : 0;
      }
      return count;
    }

    /** Bytes of a step, forward and backward, for so many rows. */
    double bytes(double rows) {
      return 4 * rows * rowBytes;
    }
  }
}
