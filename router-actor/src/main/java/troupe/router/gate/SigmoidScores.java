package troupe.router.gate;

import jdk.incubator.vector.DoubleVector;
import jdk.incubator.vector.VectorSpecies;
import troupe.core.math.Sigmoid;

/** The sigmoids of a {@link Tile}'s logits, and what is made of them. */
final class SigmoidScores {
  private static final VectorSpecies<Double> SPECIES = DoubleVector.SPECIES_PREFERRED;
  private static final int WIDTH = SPECIES.length();

  private final int experts;
  private final int capacity;
  private final double[] s_ET;
  private final double[] one_T;
  private final double[] factor_T;

  SigmoidScores(int experts, int capacity) {
    this.experts = experts;
    this.capacity = capacity;
    s_ET = new double[experts * capacity];
    one_T = Routing.ones(capacity);
    factor_T = new double[capacity];
  }

  /**
   * Makes scores of logits.
   *
   * @param lanes whole vectors of tokens
   * @param bias_E what is added to them; empty for nothing
   * @param biased gets the sums
   */
  void load(Columns logits, int lanes, double[] bias_E, Columns biased) {
    loopLoad(logits.x_ET(), lanes, bias_E, biased.x_ET());
  }

  private void loopLoad(double[] x_ET, int lanes, double[] bias_E, double[] biased_ET) {
    for (int t = 0; t < lanes; t += WIDTH) {
      DoubleVector sum = DoubleVector.zero(SPECIES);
      for (int e = 0; e < experts; e++) {
        int at = e * capacity + t;
        DoubleVector s = Sigmoid.of(DoubleVector.fromArray(SPECIES, x_ET, at));
        s.intoArray(s_ET, at);
        s.add(bias_E.length == 0 ? 0 : bias_E[e]).intoArray(biased_ET, at);
        sum = sum.add(s);
      }
      DoubleVector.broadcast(SPECIES, 1).div(sum).intoArray(factor_T, t);
    }
  }

  /**
   * Writes scores to rows, and scores over their sum.
   *
   * @param row where that of the first of {@code tokens} tokens begins
   */
  void store(double[] s_TE, double[] p_TE, int row, int tokens) {
    Transposition.toRows(s_TE, row, experts, s_ET, capacity, one_T, tokens, experts);
    Transposition.toRows(p_TE, row, experts, s_ET, capacity, factor_T, tokens, experts);
  }
}
