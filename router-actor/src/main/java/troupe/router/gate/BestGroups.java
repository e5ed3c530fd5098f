package troupe.router.gate;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Leaves each token of a {@link Tile} the experts of its best groups. A group is so many
 * neighbours, and as good as the sum of its two best.
 */
final class BestGroups {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  private final int groups;
  private final int size;
  private final int kept;
  private final int capacity;
  private final Columns score_GT;

  /** Keeps {@code kept} of {@code groups} groups, which divide the experts evenly. */
  BestGroups(int experts, int groups, int kept, int capacity) {
    this.groups = groups;
    this.size = experts / groups;
    this.kept = kept;
    this.capacity = capacity;
    score_GT = new Columns(groups, capacity);
  }

  /**
   * Takes the experts of all other groups away.
   *
   * @param lanes {@code tokens} up to the end of a vector
   */
  void select(Columns columns, int tokens, int lanes) {
    if (kept == groups) {
      return;
    }
    loopScores(columns.x_ET(), lanes);
    for (int i = 0; i < kept; i++) {
      score_GT.findBest(lanes);
      for (int t = 0; t < tokens; t++) {
        score_GT.remove(t, score_GT.best(t));
      }
    }
    loopLeaveOut(columns.x_ET(), lanes);
  }

  private void loopScores(double[] x_ET, int lanes) {
    for (int t = 0; t < lanes; t += WIDTH) {
      for (int g = 0; g < groups; g++) {
        DoubleVector most = DoubleVector.fromArray(SPECIES, x_ET, g * size * capacity + t);
        DoubleVector second = DoubleVector.broadcast(SPECIES, Double.NEGATIVE_INFINITY);
        for (int e = g * size + 1; e < (g + 1) * size; e++) {
          DoubleVector x = DoubleVector.fromArray(SPECIES, x_ET, e * capacity + t);
          VectorMask<Double> more = x.compare(VectorOperators.GT, most);
          DoubleVector less = x.blend(most, more);
          most = most.blend(x, more);
          second = second.blend(less, less.compare(VectorOperators.GT, second));
        }
        DoubleVector score = size == 1 ? most : most.add(second);
        score.intoArray(score_GT.x_ET(), g * capacity + t);
      }
    }
  }

  private void loopLeaveOut(double[] x_ET, int lanes) {
    for (int t = 0; t < lanes; t += WIDTH) {
      for (int g = 0; g < groups; g++) {
        // What was taken away is kept.
        VectorMask<Double> left =
            DoubleVector.fromArray(SPECIES, score_GT.x_ET(), g * capacity + t)
                .compare(VectorOperators.GT, Double.NEGATIVE_INFINITY);
        for (int e = g * size; e < (g + 1) * size; e++) {
          DoubleVector.fromArray(SPECIES, x_ET, e * capacity + t)
              .blend(Double.NEGATIVE_INFINITY, left)
              .intoArray(x_ET, e * capacity + t);
        }
      }
    }
  }
}
