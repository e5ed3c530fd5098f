package troupe.coordinator.simulate;

import java.util.Arrays;
import java.util.List;

/**
 * How evenly experts were chosen, before capacity; a load of 1 is the mean of its layer and step.
 *
 * @param imbalance load of the busiest expert, mean over layers and steps
 * @param worst load of the busiest expert of all
 * @param quantiles load at {@link #LEVELS} over all experts, layers and steps
 * @param dead experts of a layer that nobody chose in a step, mean
 * @param neverChosen experts of a layer that nobody chose in any step, mean over layers
 */
record LoadSummary(
    double imbalance, double worst, double[] quantiles, double dead, double neverChosen) {
  /** What quantiles are given for. */
  static final double[] LEVELS = {0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1};

  /**
   * Sums up.
   *
   * @param routed_SLE rows by step, layer and expert
   */
  static LoadSummary of(List<long[][]> routed_SLE) {
    int layers = routed_SLE.getFirst().length;
    int experts = routed_SLE.getFirst()[0].length;
    float[] loads = new float[Math.multiplyExact(routed_SLE.size() * layers, experts)];
    long[][] ever_LE = new long[layers][experts];
    double imbalances = 0;
    double worst = 0;
    long dead = 0;
    int next = 0;
    for (long[][] routed_LE : routed_SLE) {
      for (int layer = 0; layer < layers; layer++) {
        long[] routed_E = routed_LE[layer];
        double mean = (double) Arrays.stream(routed_E).sum() / experts;
        double most = 0;
        for (int e = 0; e < experts; e++) {
          double load = mean == 0 ? 0 : routed_E[e] / mean;
          loads[next++] = (float) load;
          most = Math.max(most, load);
          dead += routed_E[e] == 0 ? 1 : 0;
          ever_LE[layer][e] += routed_E[e];
        }
        imbalances += most;
        worst = Math.max(worst, most);
      }
    }
    Arrays.parallelSort(loads);
    double[] quantiles = new double[LEVELS.length];
    for (int i = 0; i < quantiles.length; i++) {
      quantiles[i] = loads[(int) Math.round(LEVELS[i] * (loads.length - 1))];
    }
    double rounds = (double) routed_SLE.size() * layers;
    double never =
        Arrays.stream(ever_LE).flatMapToLong(Arrays::stream).filter(rows -> rows == 0).count();
    return new LoadSummary(imbalances / rounds, worst, quantiles, dead / rounds, never / layers);
  }
}
