package troupe.coordinator.placement;

import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.ObjLongConsumer;
import troupe.core.config.RunConfig;

/**
 * Watches the load of experts, and says when some should move. Told of every committed step, it
 * keeps a moving average of the rows of each expert. When layers, one after the other, take more
 * than {@code placement.max_imbalance} times the least that they can for {@code
 * placement.patience_steps} steps in a row, it proposes moves and exchanges. Then, whether there
 * were any or not, it looks away for as many steps again: the average has to show the effect first,
 * and what did not help will not a step later. Moves aim below the bound by some distance, and what
 * gains little is not proposed, so that the next small change does not move them back. For one
 * thread.
 */
public final class Rebalancer {
  /** Of what is above an even load, moves aim to leave this share of what the bound allows. */
  private static final double GOAL_SHARE = 0.75;

  /** A proposal takes away this share of the surplus, or is none. */
  private static final double WORTH_SHARE = 0.2;

  private final RunConfig.Placement config;
  private final Footprint footprint;
  private final double keep;
  private final Map<ExpertId, Double> sums = new HashMap<>();
  private double weight;
  private int stepsAbove;
  private int stepsToWait;

  /** Watches as the config says; with {@code rebalance = none} it only keeps the average. */
  public Rebalancer(RunConfig.Placement config, Footprint footprint) {
    this.config = config;
    this.footprint = footprint;
    // Half of what a value tells is forgotten after half of the patience.
    keep = Math.pow(0.5, 2.0 / config.patienceSteps());
  }

  /** The rows that each expert is chosen for in a step, recently; empty before the first step. */
  public SortedMap<ExpertId, Double> load() {
    SortedMap<ExpertId, Double> load = new TreeMap<>();
    sums.forEach((expert, sum) -> load.put(expert, sum / weight));
    return load;
  }

  /**
   * Takes in a committed step.
   *
   * @param rows rows that each expert was chosen for, by layer
   * @param placement who lives where
   * @param nodes those that may hold owners
   * @return a better placement, if it is time for one and there is one
   */
  public Optional<Placement> onStep(
      SortedMap<Integer, long[]> rows, Placement placement, Collection<? extends OwnerNode> nodes) {
    weight = keep * weight + 1;
    forEach(
        rows,
        (expert, now) -> sums.compute(expert, (id, sum) -> (sum == null ? 0 : keep * sum) + now));
    if (config.rebalance() == RunConfig.Rebalance.NONE || OwnerPlace.of(nodes).size() < 2) {
      return Optional.empty();
    }
    if (stepsToWait > 0) {
      stepsToWait--;
      return Optional.empty();
    }
    double imbalance = loads(placement, nodes).imbalance();
    stepsAbove = imbalance > config.maxImbalance() ? stepsAbove + 1 : 0;
    if (stepsAbove < config.patienceSteps()) {
      return Optional.empty();
    }
    onMoved();
    return propose(placement, nodes, imbalance);
  }

  private Optional<Placement> propose(
      Placement placement, Collection<? extends OwnerNode> nodes, double before) {
    PlaceLoads loads = loads(placement, nodes);
    loads.improve(1 + GOAL_SHARE * (config.maxImbalance() - 1));
    boolean isWorth = before - loads.imbalance() >= WORTH_SHARE * (before - 1);
    return isWorth ? Optional.of(loads.placement()) : Optional.empty();
  }

  private PlaceLoads loads(Placement placement, Collection<? extends OwnerNode> nodes) {
    return new PlaceLoads(placement, nodes, load(), footprint);
  }

  /**
   * What the layers of a step take, one after the other, over what they take where load is even: 1
   * or more.
   *
   * @param rows rows that each expert was chosen for, by layer
   */
  public static double overMean(
      SortedMap<Integer, long[]> rows, Placement placement, Collection<? extends OwnerNode> nodes) {
    Map<ExpertId, Double> load = new HashMap<>();
    forEach(rows, (expert, now) -> load.put(expert, (double) now));
    return new PlaceLoads(placement, nodes, load, new Footprint(0, 0)).overMean();
  }

  private static void forEach(SortedMap<Integer, long[]> rows, ObjLongConsumer<ExpertId> action) {
    rows.forEach(
        (layer, rows_E) -> {
          for (int expert = 0; expert < rows_E.length; expert++) {
            action.accept(new ExpertId(layer, expert), rows_E[expert]);
          }
        });
  }

  /** Owners have moved, for whatever reason: looks away until the average shows the effect. */
  public void onMoved() {
    stepsAbove = 0;
    stepsToWait = config.patienceSteps();
  }
}
