package troupe.coordinator.simulate;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import troupe.core.config.GateConfig;
import troupe.core.config.GateType;
import troupe.core.config.RunConfig;
import troupe.router.gate.Capacity;
import troupe.router.gate.CapacitySweep;
import troupe.router.gate.Feedback;
import troupe.router.gate.GateInput;
import troupe.router.gate.GateState;
import troupe.router.gate.HashTable;
import troupe.router.gate.Ledger;
import troupe.router.gate.Load;
import troupe.router.gate.Routing;

/**
 * One router under all capacity factors. What its gate keeps from step to step changes here as it
 * does in training; a gate whose state follows the loss keeps it as it was, for there is no loss.
 */
final class RouterSweep {
  private final RunConfig config;
  private final GateConfig gateConfig;
  private final CapacitySweep sweep;
  private final Capacity capacity;
  private final List<Capacity> capacities;
  private final ClusterMap map;
  private final int layers;
  private final double[][] state_L;
  private final boolean isOfTrace;
  private final List<long[][]> routed_SLE = new ArrayList<>();
  private final RowTally[] totals_F;
  private final StepTime[] time_F;
  private final long[] mostRows_F;
  private final List<List<Ledger>> ledger_FS = new ArrayList<>();
  private final StepTimeModel model;
  private final int layersEach;

  /** A router of this type with the keys of the config's gate. */
  RouterSweep(RunConfig config, GateType type, ClusterMap map, Tokens tokens, StepTimeModel model) {
    this.config = config;
    int k = type.hasTopK() ? config.gate().topK() : 1;
    this.gateConfig = config.gate().with(type, k);
    this.sweep = new CapacitySweep(gateConfig);
    this.capacity = Capacity.of(config.experts());
    this.capacities = config.simulate().factors().stream().map(capacity::withFactor).toList();
    this.map = map;
    this.model = model;
    this.layers = tokens.layers();
    this.layersEach = tokens.layersEach();
    // The state of the run is that of its gate alone.
    this.isOfTrace = tokens instanceof RecordedTokens && type == config.gate().type();
    GateState kept = sweep.gate().state();
    this.state_L = new double[layers][kept == null ? 0 : kept.size(map.experts())];
    for (double[] state : state_L) {
      Arrays.fill(state, kept == null ? 0 : kept.initial());
    }
    if (sweep.gate().hashes()) {
      int[] table_V = HashTable.of(config, tokens.counts());
      Arrays.fill(state_L, Arrays.stream(table_V).asDoubleStream().toArray());
    }
    this.totals_F = new RowTally[capacities.size()];
    Arrays.setAll(totals_F, f -> new RowTally(map));
    this.time_F = new StepTime[capacities.size()];
    Arrays.fill(time_F, StepTime.NONE);
    this.mostRows_F = new long[capacities.size()];
    capacities.forEach(factor -> ledger_FS.add(new ArrayList<>()));
  }

  /** What a thread counts of a step: a tally for each layer and factor, and the rows chosen. */
  final class Partial {
    private final RowTally[][] tally_LF = new RowTally[layers][capacities.size()];
    private final long[][] routed_LE = new long[layers][map.experts()];

    private Partial() {
      for (RowTally[] tally_F : tally_LF) {
        Arrays.setAll(tally_F, f -> new RowTally(map));
      }
    }

    /**
     * Routes a group under every factor.
     *
     * @return the routing that a gate's state changes by, or {@code null} if it has none
     */
    Routing route(Tokens.Group group, Tokens.Seen seen) {
      double[] own = state_L[group.layer()];
      double[] state = isOfTrace && seen.state().length == own.length ? seen.state() : own;
      GateInput input =
          new GateInput(
              seen.logits_TE(),
              group.tokens(),
              map.experts(),
              seen.ids_T(),
              state,
              capacity,
              seen.draws(),
              true);
      List<Routing> routings = sweep.route(input, config.simulate().factors());
      for (int f = 0; f < routings.size(); f++) {
        tally_LF[group.layer()][f].add(routings.get(f), group.firstToken());
      }
      int[] routed_E = Load.routed(routings.getFirst());
      for (int e = 0; e < routed_E.length; e++) {
        routed_LE[group.layer()][e] += routed_E[e];
      }
      return changes() ? routings.getFirst() : null;
    }
  }

  Partial partial() {
    return new Partial();
  }

  /** Whether steps depend on those before. */
  boolean changes() {
    return sweep.gate().state() != null && !sweep.gate().needsLosses();
  }

  /** Ends a step, of which threads counted the parts. */
  void endStep(List<Partial> partials) {
    Partial sum = partials.getFirst();
    for (Partial other : partials.subList(1, partials.size())) {
      for (int layer = 0; layer < layers; layer++) {
        for (int f = 0; f < capacities.size(); f++) {
          sum.tally_LF[layer][f].add(other.tally_LF[layer][f]);
        }
        for (int e = 0; e < map.experts(); e++) {
          sum.routed_LE[layer][e] += other.routed_LE[layer][e];
        }
      }
    }
    routed_SLE.add(sum.routed_LE);
    for (int f = 0; f < capacities.size(); f++) {
      StepTime time = model.rest();
      Ledger ledger = new Ledger(0, 0, 0, 0);
      for (int layer = 0; layer < layers; layer++) {
        RowTally tally = sum.tally_LF[layer][f];
        time = time.plus(model.layer(tally).times(layersEach));
        ledger = ledger.plus(tally.ledger);
        totals_F[f].add(tally);
        mostRows_F[f] = Math.max(mostRows_F[f], tally.mostRows());
      }
      time_F[f] = time_F[f].plus(time);
      ledger_FS.get(f).add(ledger);
    }
  }

  /** Lets the gate change what it keeps; routings in the order of their groups. */
  void changeState(List<Tokens.Group> groups, List<Routing> routings) {
    if (!changes()) {
      return;
    }
    GateState kept = sweep.gate().state();
    long[][] routed_LE = routed_SLE.getLast();
    for (int layer = 0; layer < layers; layer++) {
      double[] load_E =
          Arrays.stream(routed_LE[layer]).mapToDouble(n -> (double) n / map.tokens()).toArray();
      Feedback feedback = new Feedback(null, null, load_E, map.tokens());
      double[] change = new double[state_L[layer].length];
      for (int g = 0; g < groups.size(); g++) {
        if (groups.get(g).layer() == layer) {
          kept.addChange(change, state_L[layer], routings.get(g).tokens(), feedback);
        }
      }
      for (int i = 0; i < change.length; i++) {
        state_L[layer][i] -= kept.rate() * change[i];
      }
    }
  }

  /** What came of all steps. */
  SimulationResult.OfRouter result(int groupTokens, long groups) {
    double slots = (double) totals_F[0].ledger.routed() / map.tokens() / layers / routed_SLE.size();
    List<SimulationResult.OfFactor> factors = new ArrayList<>();
    double perStep = (double) layersEach / routed_SLE.size();
    for (int f = 0; f < capacities.size(); f++) {
      RowTally total = totals_F[f];
      int rows = capacities.get(f).rows(groupTokens, map.experts(), slots);
      long reserved =
          capacities.get(f).isDropless()
              ? mostRows_F[f]
              : Math.min(map.tokens(), rows * groups) * map.mostExperts();
      factors.add(
          new SimulationResult.OfFactor(
              capacities.get(f).factor(),
              rows,
              total.ledger,
              List.copyOf(ledger_FS.get(f)),
              total.overflow_E,
              total.withinDevice() * perStep,
              total.withinNode() * perStep,
              total.betweenNodes() * perStep,
              (double) config.model().dModel() * config.simulate().cluster().elementBytes(),
              DeviceMemory.of(config, map, mostRows_F[f], reserved),
              time_F[f].times(1.0 / routed_SLE.size())));
    }
    return new SimulationResult.OfRouter(
        gateConfig.type(), slots, LoadSummary.of(routed_SLE), routed_SLE, factors);
  }
}
