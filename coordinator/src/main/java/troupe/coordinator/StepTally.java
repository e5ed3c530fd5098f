package troupe.coordinator;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import troupe.core.config.RunConfig;
import troupe.expert.ExpertActor;
import troupe.router.RouterActor;
import troupe.router.gate.BalanceLoss;
import troupe.router.gate.Ledger;
import troupe.router.trunk.LayerStats;

/**
 * What the coordinator has heard of the step at hand. Reports may be repeated; sums are formed in
 * rank and layer order once all are there, so they do not depend on who was first.
 */
final class StepTally {
  /** More names than these help nobody. */
  private static final int MAX_NAMED = 4;

  private final RunConfig config;
  private final long step;
  private final int ranks;
  private final int experts;
  private final SortedMap<Integer, LayerStats[]> stats_LR = new TreeMap<>();
  private final double[] lossSum_R;
  private final double[] rankNorm_R;
  private final SortedMap<Integer, double[]> expertNorm_LE = new TreeMap<>();
  private final BitSet ranksReady = new BitSet();
  private final BitSet ranksApplied = new BitSet();
  private final Map<Integer, BitSet> expertsReady = new TreeMap<>();
  private final Map<Integer, BitSet> expertsApplied = new TreeMap<>();

  StepTally(RunConfig config, long step) {
    this.config = config;
    this.step = step;
    this.ranks = config.train().ranks();
    this.experts = config.experts().count();
    this.lossSum_R = new double[ranks];
    this.rankNorm_R = new double[ranks];
    for (int layer = 0; layer < config.model().layers(); layer++) {
      if (config.model().isMoe(layer)) {
        stats_LR.put(layer, new LayerStats[ranks]);
        expertNorm_LE.put(layer, new double[experts]);
        expertsReady.put(layer, new BitSet());
        expertsApplied.put(layer, new BitSet());
      }
    }
  }

  long step() {
    return step;
  }

  /** How many reports have come, repeated ones not counted: as this grows, the step moves. */
  int heard() {
    return (int) stats_LR.values().stream().flatMap(Arrays::stream).filter(Objects::nonNull).count()
        + ranksReady.cardinality()
        + ranksApplied.cardinality()
        + expertsReady.values().stream().mapToInt(BitSet::cardinality).sum()
        + expertsApplied.values().stream().mapToInt(BitSet::cardinality).sum();
  }

  /**
   * Takes the stats of a rank; returns the load of the layer once all ranks have reported, else
   * null.
   */
  double[] routed(RouterActor.Routed routed) {
    LayerStats[] stats_R = stats_LR.get(routed.layer());
    stats_R[routed.rank()] = routed.stats();
    return isRouted(stats_R) ? load(total(routed.layer())) : null;
  }

  private static boolean isRouted(LayerStats[] stats_R) {
    return Arrays.stream(stats_R).allMatch(Objects::nonNull);
  }

  /** Whether every rank has reported every layer. */
  boolean isRouted() {
    return stats_LR.values().stream().allMatch(StepTally::isRouted);
  }

  /** The loads of all layers that every rank has reported. */
  SortedMap<Integer, double[]> loads() {
    SortedMap<Integer, double[]> loads = new TreeMap<>();
    stats_LR.forEach(
        (layer, stats_R) -> {
          if (isRouted(stats_R)) {
            loads.put(layer, load(total(layer)));
          }
        });
    return loads;
  }

  void ready(RouterActor.GradientReady ready) {
    lossSum_R[ready.rank()] = ready.lossSum();
    rankNorm_R[ready.rank()] = ready.squaredNorm();
    ranksReady.set(ready.rank());
  }

  void ready(ExpertActor.GradientReady ready) {
    expertNorm_LE.get(ready.layer())[ready.expert()] = ready.squaredNorm();
    expertsReady.get(ready.layer()).set(ready.expert());
  }

  boolean allReady() {
    return ranksReady.cardinality() == ranks && all(expertsReady);
  }

  void applied(RouterActor.Applied applied) {
    ranksApplied.set(applied.rank());
  }

  void applied(ExpertActor.Applied applied) {
    expertsApplied.get(applied.layer()).set(applied.expert());
  }

  boolean allApplied() {
    return ranksApplied.cardinality() == ranks && all(expertsApplied);
  }

  private boolean all(Map<Integer, BitSet> sets) {
    return sets.values().stream().allMatch(set -> set.cardinality() == experts);
  }

  /** Who has not reported yet and where they live, for a message to the user. */
  String missing(boolean applying, Group group) {
    List<String> missing = new ArrayList<>();
    BitSet rankSet = applying ? ranksApplied : ranksReady;
    for (int rank = rankSet.nextClearBit(0); rank < ranks; rank = rankSet.nextClearBit(rank + 1)) {
      missing.add(group.whereIs(rank));
    }
    (applying ? expertsApplied : expertsReady)
        .forEach(
            (layer, set) -> {
              for (int expert = set.nextClearBit(0);
                  expert < experts;
                  expert = set.nextClearBit(expert + 1)) {
                missing.add(group.whereIs(layer, expert));
              }
            });
    int more = missing.size() - MAX_NAMED;
    return String.join(", ", missing.subList(0, Math.min(MAX_NAMED, missing.size())))
        + (more > 0 ? " and " + more + " more" : "");
  }

  /** Global norm of the gradient. */
  double gradNorm() {
    double sum = 0;
    for (double squared : rankNorm_R) {
      sum += squared;
    }
    for (double[] squared_E : expertNorm_LE.values()) {
      for (double squared : squared_E) {
        sum += squared;
      }
    }
    return Math.sqrt(sum);
  }

  /** The first owner whose gradient is not finite, or {@code null}. */
  String divergedOwner() {
    for (Map.Entry<Integer, double[]> entry : expertNorm_LE.entrySet()) {
      for (int expert = 0; expert < experts; expert++) {
        if (!Double.isFinite(entry.getValue()[expert])) {
          return "gradient of layer=" + entry.getKey() + " expert=" + expert;
        }
      }
    }
    for (int rank = 0; rank < ranks; rank++) {
      if (!Double.isFinite(rankNorm_R[rank])) {
        return "gradient of the trunk slice of rank=" + rank;
      }
    }
    return null;
  }

  private LayerStats total(int layer) {
    LayerStats total = LayerStats.none(experts);
    for (LayerStats stats : stats_LR.get(layer)) {
      total = total.plus(stats);
    }
    return total;
  }

  private static double[] load(LayerStats total) {
    return BalanceLoss.fraction(total.balanced_E(), total.tokens(), 0);
  }

  private static double penalty(LayerStats total) {
    double[] load_E = load(total);
    double sum = 0;
    for (int e = 0; e < total.penalty_E().length; e++) {
      sum += load_E[e] * (total.penalty_E()[e] / total.tokens());
    }
    return sum;
  }

  StepReport report(double learningRate, long stepTimeNs) {
    long tokens = (long) config.train().batch() * config.model().seq();
    double lossSum = 0;
    for (double sum : lossSum_R) {
      lossSum += sum;
    }
    double crossEntropy = lossSum / tokens;
    double balance = 0;
    double z = 0;
    double penalty = 0;
    SortedMap<Integer, Ledger> ledger = new TreeMap<>();
    long alive = 0;
    SortedMap<Integer, long[]> load = new TreeMap<>();
    for (int layer : stats_LR.keySet()) {
      LayerStats total = total(layer);
      balance += BalanceLoss.value(load(total), total.sumP_E(), total.tokens());
      z += total.sumZ() / total.tokens();
      penalty += penalty(total);
      ledger.put(layer, total.ledger());
      alive += total.alive();
      load.put(layer, total.routed_E());
    }
    Ledger all = ledger.values().stream().reduce(new Ledger(0, 0, 0, 0), Ledger::plus);
    double loss =
        crossEntropy
            + config.gate().balanceWeight() * balance
            + config.gate().zCoefficient() * z
            + penalty;
    return new StepReport(
        step,
        loss,
        crossEntropy,
        balance,
        z,
        penalty,
        learningRate,
        gradNorm(),
        tokens,
        stepTimeNs,
        all.dropped() / (double) Math.max(1, all.routed()),
        alive / ((double) tokens * stats_LR.size()),
        ledger,
        load);
  }
}
